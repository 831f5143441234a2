import { Fault } from '#src/errors.ts'
import { putApp, readApp } from '#src/metadata/app-records.ts'
import type { App, Lease, Machine, Release, SecretPlace } from '#src/model/app.ts'
import type { Store } from '#src/store/store.ts'
import type { World } from '#src/world.ts'
import { randomId } from './random-words.ts'

const machineDigits = 14
const machinesMost = 50
/** Of what flyctl says of a machine, in characters: what it was given, and some labels. */
const configMost = 8_192
/** Of a lease, in seconds. */
export const leaseMost = 600

type Config = Machine['config']

function checkConfig(config: Config): void {
  if (JSON.stringify(config ?? {}).length <= configMost) return
  throw new Fault('LimitExceeded', { message: 'The configuration of the machine is too large.' })
}

const noMachine = (id: string): Fault => new Fault('NoSuchEntity', { message: `There is no machine ${id}.` })

/**
 * Where apps run, as far as flyctl has to know: to each of these places an app's secrets are delivered.
 *
 * U9  while somebody holds the lease of a machine, nobody changes it without the lease's nonce.
 */
export class AppMachines {
  readonly #store: Store
  readonly #world: World

  constructor({ store, world }: { readonly store: Store; readonly world: World }) {
    this.#store = store
    this.#world = world
  }

  /** Fault `EntityAlreadyExists` where the app is said to run there already. */
  async add(app: string, place: SecretPlace): Promise<Machine> {
    const now = this.#world.now()
    return await this.#change(app, (standing) => {
      const machines = standing.machines ?? []
      if (machines.length >= machinesMost) {
        throw new Fault('LimitExceeded', { message: `An app runs at ${machinesMost} places at most.` })
      }
      if (machines.some((each) => each.place.file === place.file)) {
        throw new Fault('EntityAlreadyExists', { message: `The secrets of ${app} go to ${place.file} already.` })
      }
      const machine: Machine = {
        id: this.#id(machineDigits),
        place,
        instance: this.#id(),
        deliveries: 0,
        created: now,
        updated: now,
      }
      return [{ ...standing, machines: [...machines, machine] }, machine]
    })
  }

  /** What was delivered stays where it is. */
  async remove(app: string, id: string): Promise<void> {
    await this.#change(app, (standing) => {
      const machines = (standing.machines ?? []).filter((each) => each.id !== id)
      if (machines.length === (standing.machines ?? []).length) throw noMachine(id)
      return [{ ...standing, machines }, undefined]
    })
  }

  /** Takes the lease, or with its nonce keeps it for longer. Fault `EntityAlreadyExists` while somebody else has it. */
  async lease(
    app: string,
    id: string,
    { nonce, owner, seconds }: { readonly nonce?: string; readonly owner: string; readonly seconds: number },
  ): Promise<Lease> {
    const now = this.#world.now()
    return await this.#changeMachine(app, id, nonce, (machine) => {
      const lease = { nonce: nonce ?? this.#id(), owner, ends: now + 1_000 * Math.min(leaseMost, seconds) }
      return [{ ...machine, lease }, lease]
    })
  }

  async endLease(app: string, id: string, nonce: string | undefined): Promise<void> {
    await this.#changeMachine(app, id, nonce, ({ lease: _, ...machine }) => [machine, undefined])
  }

  /** Whether it may be changed so by whoever has this nonce: before what cannot be taken back is done. */
  async check(app: string, id: string, nonce: string | undefined, config: Config): Promise<Machine> {
    checkConfig(config)
    return await this.#changeMachine(app, id, nonce, (machine) => [machine, machine])
  }

  /** The app's secrets have been delivered there. */
  async delivered(app: string, id: string, nonce: string | undefined, config: Config): Promise<Machine> {
    checkConfig(config)
    const updated = this.#world.now()
    return await this.#changeMachine(app, id, nonce, (machine) => {
      const deliveries = machine.deliveries + 1
      const instance = this.#id()
      const changed: Machine = { ...machine, deliveries, instance, updated, ...(config !== undefined && { config }) }
      return [changed, changed]
    })
  }

  async beginRelease(app: string): Promise<Release> {
    const created = this.#world.now()
    return await this.#change(app, (standing) => {
      const version = (standing.release?.version ?? 0) + 1
      const release: Release = { id: `${app}-${version}`, version, status: 'pending', created }
      return [{ ...standing, release }, release]
    })
  }

  /** Of one that was followed by another, nothing is kept. */
  async setRelease(app: string, id: string, status: string): Promise<Release> {
    return await this.#change(app, (standing) => {
      if (standing.release?.id !== id) throw new Fault('NoSuchEntity', { message: `There is no release ${id}.` })
      const release = { ...standing.release, status }
      return [{ ...standing, release }, release]
    })
  }

  #id(digits = 32): string {
    return randomId(this.#world).slice(0, digits)
  }

  async #changeMachine<Result>(
    app: string,
    id: string,
    nonce: string | undefined,
    change: (machine: Machine) => readonly [Machine, Result],
  ): Promise<Result> {
    const now = this.#world.now()
    return await this.#change(app, (standing) => {
      const machines = standing.machines ?? []
      const machine = machines.find((each) => each.id === id)
      if (machine === undefined) throw noMachine(id)
      const { lease } = machine
      if (lease !== undefined && lease.ends > now && lease.nonce !== nonce) {
        throw new Fault('EntityAlreadyExists', { message: `Somebody else has the lease of machine ${id}.` })
      }
      const [changed, result] = change(machine)
      return [{ ...standing, machines: machines.map((each) => (each === machine ? changed : each)) }, result]
    })
  }

  async #change<Result>(name: string, change: (app: App) => readonly [App, Result]): Promise<Result> {
    return await this.#store.transact(async (transaction) => {
      const standing = await readApp(transaction, name)
      if (standing === undefined) throw new Fault('NoSuchEntity', { message: `There is no app ${name}.` })
      const [app, result] = change(standing)
      if (app !== standing) putApp(transaction, app)
      return result
    })
  }
}
