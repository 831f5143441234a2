import type { Keys } from '#src/encryption/key-provider.ts'
import { openSecret, sealSecret } from '#src/encryption/sealed-secret.ts'
import { Fault } from '#src/errors.ts'
import {
  putAddOn,
  putApp,
  readAddOn,
  readAddOnsOf,
  readApp,
  readAppsOf,
  removeAddOn,
  removeApp,
} from '#src/metadata/app-records.ts'
import type { OrganizationRecords } from '#src/metadata/organization-records.ts'
import { type AddOn, type App, isVariableName } from '#src/model/app.ts'
import type { SealedSecret } from '#src/model/encryption.ts'
import { checkAppName } from '#src/model/organization.ts'
import type { Snapshot, Store } from '#src/store/store.ts'
import type { World } from '#src/world.ts'

interface Parts {
  readonly store: Store
  readonly world: World
  readonly organizations: OrganizationRecords
  readonly own: Keys['own']
}

const contextOf = (app: string, name: string): Buffer => Buffer.from(`meridian app ${app} ${name}`)
const secretLengthMost = 32 * 1024
const secretsMost = 200

const noApp = (name: string): Fault => new Fault('NoSuchEntity', { message: `There is no app ${name}.` })

/**
 * Apps, and the secrets that wait for them.
 *
 * U6  a secret of an app is kept sealed, bound to its app and its name, and opened only to be handed to where the app is.
 */
export class Apps {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Fault `EntityAlreadyExists` where anybody has an app of that name. */
  async create(organization: string, name: string): Promise<App> {
    const { store, world, organizations } = this.#parts
    checkAppName(name)
    return await store.transact(async (transaction) => {
      if ((await readApp(transaction, name)) !== undefined) {
        throw new Fault('EntityAlreadyExists', { message: `The name ${name} has already been taken.` })
      }
      if ((await organizations.organization(transaction, organization)) === undefined) {
        throw new Fault('NoSuchEntity', { message: 'There is no such organization.' })
      }
      const number = await organizations.nextNumber(transaction, 'app')
      const app: App = { id: name, name, organization, number, created: world.now(), secrets: {} }
      putApp(transaction, app)
      return app
    })
  }

  async get(name: string): Promise<App> {
    return await this.#parts.store.snapshot((snapshot) => existing(snapshot, name))
  }

  async list(organization: string): Promise<readonly App[]> {
    return await this.#parts.store.snapshot((snapshot) => readAppsOf(snapshot, organization))
  }

  /** Fault `DeleteConflict` while it has buckets. */
  async delete(name: string): Promise<void> {
    await this.#parts.store.transact(async (transaction) => {
      const app = await existing(transaction, name)
      if ((await readAddOnsOf(transaction, 'app', name)).length > 0) {
        throw new Fault('DeleteConflict', { message: 'The app still has a bucket.' })
      }
      removeApp(transaction, app)
    })
  }

  /** Adds them, or replaces those of the same names; `undefined` takes one away. Fault `InvalidArgument`, `LimitExceeded`. */
  async setSecrets(name: string, secrets: ReadonlyMap<string, string | undefined>): Promise<App> {
    const sealed = new Map<string, SealedSecret | undefined>()
    for (const [key, value] of secrets)
      sealed.set(key, value === undefined ? undefined : await this.#seal(name, key, value))
    return await this.#parts.store.transact(async (transaction) => {
      const before = await existing(transaction, name)
      const after = new Map(Object.entries(before.secrets))
      for (const [key, value] of sealed) {
        if (value === undefined) after.delete(key)
        else after.set(key, value)
      }
      if (after.size > secretsMost) {
        throw new Fault('LimitExceeded', { message: `An app has at most ${secretsMost} secrets.` })
      }
      const app = { ...before, secrets: Object.fromEntries(after) }
      putApp(transaction, app)
      return app
    })
  }

  async #seal(app: string, key: string, value: string): Promise<SealedSecret> {
    const { own, world } = this.#parts
    if (!isVariableName(key)) {
      throw new Fault('InvalidArgument', {
        message: 'The name of a secret has letters, digits and _ only, and no digit first.',
      })
    }
    if (value.length > secretLengthMost || value.includes('\0')) {
      throw new Fault('InvalidArgument', {
        message: `A secret has at most ${secretLengthMost} characters, none of them NUL.`,
      })
    }
    return await sealSecret(own, Buffer.from(value), contextOf(app, key), (size) => world.randomBytes(size))
  }

  /** Of the app, by name: to be handed to where it runs, and to nobody else. */
  async openSecrets(name: string): Promise<ReadonlyMap<string, string>> {
    const { secrets } = await this.get(name)
    const opened = new Map<string, string>()
    for (const [key, sealed] of Object.entries(secrets)) {
      const bytes = await openSecret(this.#parts.own, sealed, contextOf(name, key))
      opened.set(key, Buffer.from(bytes).toString())
    }
    return opened
  }

  async addOn(bucket: string): Promise<AddOn | undefined> {
    return await this.#parts.store.snapshot((snapshot) => readAddOn(snapshot, bucket))
  }

  async addOnsOf(kind: 'organization' | 'app', id: string): Promise<readonly AddOn[]> {
    return await this.#parts.store.snapshot((snapshot) => readAddOnsOf(snapshot, kind, id))
  }

  /**
   * Makes of what is known of a bucket what is known now; undefined: nothing. Of the organisation and the app that it was of before,
   * it is not any more. Fault `EntityAlreadyExists` where the app has another bucket already: it takes one.
   */
  async changeAddOn(bucket: string, change: (standing: AddOn | undefined) => AddOn | undefined): Promise<void> {
    await this.#parts.store.transact(async (transaction) => {
      const standing = await readAddOn(transaction, bucket)
      const addOn = change(standing)
      if (standing !== undefined) removeAddOn(transaction, standing)
      if (addOn === undefined) return
      const others = addOn.app === undefined ? [] : await readAddOnsOf(transaction, 'app', addOn.app)
      const other = others.find(({ name }) => name !== bucket)
      if (other !== undefined) {
        throw new Fault('EntityAlreadyExists', {
          message: `A bucket ${other.name} already exists for app ${addOn.app}.`,
        })
      }
      putAddOn(transaction, addOn)
    })
  }
}

async function existing(from: Snapshot, name: string): Promise<App> {
  const app = await readApp(from, name)
  if (app === undefined) throw noApp(name)
  return app
}
