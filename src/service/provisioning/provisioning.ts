import type { Keys } from '#src/encryption/key-provider.ts'
import { openSecret, sealSecret } from '#src/encryption/sealed-secret.ts'
import { Fault } from '#src/errors.ts'
import type { IamRecords } from '#src/metadata/iam-records.ts'
import type { Namespace } from '#src/metadata/namespace.ts'
import {
  findProvisioned,
  putProvisioned,
  readAllProvisioned,
  readProvisioned,
  removeProvisioned,
} from '#src/metadata/provision-records.ts'
import { cannedAcl } from '#src/model/acl.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { SealedSecret } from '#src/model/encryption.ts'
import { folded } from '#src/model/iam.ts'
import type { AccessKey } from '#src/model/identity.ts'
import { checkBucketName } from '#src/model/names.ts'
import type { Organization } from '#src/model/organization.ts'
import {
  type AskedOptions,
  type BucketOptions,
  changedOptions,
  hiddenSecret,
  keyPolicy,
  type Provisioned,
  publicPolicy,
  type ShadowBucket,
} from '#src/model/provision.ts'
import type { ExternalOrganization, Externals } from '#src/service/accounts/externals.ts'
import type { Organizations } from '#src/service/accounts/organizations.ts'
import type { NamespaceBuckets } from '#src/service/buckets.ts'
import type { Domains } from '#src/service/domains.ts'
import { alphanumeric, randomId, randomWord } from '#src/service/random-words.ts'
import type { Shadows } from '#src/service/shadow-services.ts'
import type { Snapshot, Store, Transaction } from '#src/store/store.ts'
import type { World } from '#src/world.ts'
import { newBucketName } from './bucket-names.ts'
import type { Hooks } from './hooks.ts'

export interface ProvisioningParts {
  readonly store: Store
  readonly world: World
  readonly namespace: Namespace
  readonly records: IamRecords
  readonly organizations: Organizations
  readonly externals: Externals
  readonly buckets: NamespaceBuckets
  readonly domains: Pick<Domains, 'setIn'>
  /** Seals what has to be kept and read again. */
  readonly own: Keys['own']
  /** Serves what a bucket has for a shadow. Absent: whoever opens the store with it does, when it is next changed. */
  readonly shadows?: Pick<Shadows, 'configure'>
  /** Is told of changes in the transactions that make them. */
  readonly hooks: Pick<Hooks, 'add'>
}

export interface ProvisionBucket {
  /** One that is here, by id or slug, or one of another system, which is made where it is new. */
  readonly organization: string | ExternalOrganization
  /** Absent: made. */
  readonly name?: string
  readonly externalId?: string
  readonly options: AskedOptions
  /** A digest of what is asked: a repeat under the same external id is told by it. */
  readonly asked: string
  /** Whether nothing must be made: it is a repeat, or is refused as `NoSuchEntity`. */
  readonly isRepeat?: boolean
}

/** What whoever asked for a bucket is given. */
export interface Given {
  readonly provisioned: Provisioned
  readonly key: AccessKey
  /** Whether it was given before. */
  readonly isRepeat: boolean
}

/** So long a repeated request is given the same key again, in milliseconds. */
const repeatMilliseconds = 15 * 60_000
/** Of names that were drawn and turned out to be taken. */
const drawsMost = 5

const noBucket = (): Fault => new Fault('NoSuchEntity', { message: 'There is no such provisioned bucket.' })

const noOptions: BucketOptions = { isPublic: false, isAccelerated: false }

const shadowContext = (id: string): Buffer => Buffer.from(`meridian shadow bucket ${id}`)

/**
 * Buckets with a key of their own, made and taken away as one.
 *
 * U1  the bucket, its key and policy, and all that is remembered of them come in one transaction: nothing is half made.
 * U2  a repeat under one external id makes nothing, and is given what was given before while that is fresh; another request under
 *     that id is refused.
 * U3  the key opens that bucket alone, and neither deletes it nor opens it to others.
 * U4  a bucket that is not empty stays, with its key.
 */
export class Provisioning {
  readonly #parts: ProvisioningParts

  constructor(parts: ProvisioningParts) {
    this.#parts = parts
  }

  /** Throws BucketAlreadyExists, EntityAlreadyExists, InvalidBucketName, InvalidArgument, TooManyBuckets. */
  async provision(request: ProvisionBucket): Promise<Given> {
    if (request.name !== undefined) checkBucketName(request.name)
    for (let draws = 1; ; draws++) {
      try {
        const given = await this.#provisionAs(request.name ?? newBucketName(this.#parts.world), request)
        // Of a repeat too: whoever made it may have ended before this.
        await this.#setShadow(given.provisioned)
        return given
      } catch (error) {
        const isTaken = error instanceof Fault && error.code === 'BucketAlreadyExists'
        if (!isTaken || request.name !== undefined || draws >= drawsMost) throw error
      }
    }
  }

  async #provisionAs(name: string, { organization: whose, externalId, options: asked, ...rest }: ProvisionBucket) {
    const { store, world, domains } = this.#parts
    const id = `bkt-${randomId(world).slice(0, 24)}`
    const shadowSecret = await this.#sealed(id, asked, undefined)
    const secret = `tsec_${randomWord(world, alphanumeric, 40)}`
    const keyId = `tid_${randomWord(world, alphanumeric, 24)}`
    const now = world.now()
    return await store.transact(async (transaction): Promise<Given> => {
      const standing = externalId === undefined ? undefined : await findProvisioned(transaction, 'external', externalId)
      if (standing !== undefined) return await this.#repeat(transaction, standing, rest.asked, now)
      if (rest.isRepeat === true) throw noBucket()
      const organization = await this.#organization(transaction, whose)
      const options = changedOptions(noOptions, asked)
      const owner = { id: organization.id, displayName: organization.name }
      const { accelerate, policy } = settingsOf(name, undefined, options)
      const bucket = await this.#parts.buckets.addIn(transaction, {
        name,
        owner: organization.id,
        acl: cannedAcl('private', owner),
        location: '',
        hasObjectLock: false,
        ...(policy !== undefined && { policy }),
        documents: accelerate,
      })
      await domains.setIn(transaction, bucket, options.domain)
      const key: AccessKey = { id: keyId, secret, accountId: organization.id, user: id, isActive: true, created: now }
      this.#addUser(transaction, organization.id, bucket, key)
      const provisioned: Provisioned = {
        id,
        ...(externalId !== undefined && { externalId }),
        organization: organization.id,
        bucket: name,
        bucketId: bucket.id,
        user: id,
        accessKeyId: keyId,
        options,
        ...(shadowSecret !== undefined && { shadowSecret }),
        created: now,
        updated: now,
        asked: rest.asked,
      }
      putProvisioned(transaction, provisioned)
      await this.#parts.hooks.add(transaction, 'created', provisioned)
      return { provisioned, key, isRepeat: false }
    })
  }

  async #organization(transaction: Transaction, whose: ProvisionBucket['organization']): Promise<Organization> {
    const { organizations, externals } = this.#parts
    if (typeof whose === 'string') return await organizations.existing(transaction, whose)
    return await externals.ensureIn(transaction, whose)
  }

  async #repeat(from: Snapshot, standing: Provisioned, asked: string, now: number): Promise<Given> {
    const key = await this.#parts.namespace.accessKey(from, standing.accessKeyId)
    if (standing.asked !== asked || key === undefined || now - standing.created > repeatMilliseconds) {
      throw new Fault('EntityAlreadyExists', { message: 'A bucket was provisioned under that id before.' })
    }
    return { provisioned: standing, key, isRepeat: true }
  }

  #addUser(transaction: Transaction, realm: string, bucket: Bucket, key: AccessKey): void {
    const { records, namespace, world } = this.#parts
    const name = key.user ?? ''
    records.put(transaction, realm, 'user', folded(name), {
      name,
      path: '/provisioned/',
      id: `AIDA${randomWord(world, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', 17)}`,
      created: key.created,
      policies: { bucket: keyPolicy(bucket.name) },
      attached: [],
      tags: [['bucket', bucket.name]],
      groups: [],
      keys: [key.id],
    })
    namespace.setAccessKey(transaction, key)
  }

  /** The secret of the shadow, sealed; one that is not changed stays as it was. */
  async #sealed(
    id: string,
    { shadow }: AskedOptions,
    before: Provisioned | undefined,
  ): Promise<SealedSecret | undefined> {
    if (shadow === undefined) return undefined
    if (shadow.secretKey === hiddenSecret) {
      if (before?.shadowSecret !== undefined) return before.shadowSecret
      throw new Fault('InvalidArgument', { message: 'The option shadow_bucket.secret_key has to be given.' })
    }
    const { own, world } = this.#parts
    return await sealSecret(own, Buffer.from(shadow.secretKey), shadowContext(id), (size) => world.randomBytes(size))
  }

  /** What a shadow is read with; undefined: there is none. */
  async shadowSecret({ id, shadowSecret }: Provisioned): Promise<string | undefined> {
    if (shadowSecret === undefined) return undefined
    return Buffer.from(await openSecret(this.#parts.own, shadowSecret, shadowContext(id))).toString()
  }

  /** By its own id. Fault `NoSuchEntity`. */
  async get(id: string): Promise<Provisioned> {
    return await this.#parts.store.snapshot((snapshot) => this.#existing(snapshot, id))
  }

  async find(organization: string, bucket: string): Promise<Provisioned> {
    const found = await this.#parts.store.snapshot((snapshot) => readProvisioned(snapshot, { organization, bucket }))
    if (found === undefined) throw noBucket()
    return found
  }

  async #existing(from: Snapshot, id: string): Promise<Provisioned> {
    const found = await findProvisioned(from, 'own', id)
    if (found === undefined) throw noBucket()
    return found
  }

  async list(organization?: string): Promise<readonly Provisioned[]> {
    return await this.#parts.store.snapshot((snapshot) => readAllProvisioned(snapshot, organization))
  }

  /** The bucket itself; undefined: it was deleted by another way. */
  async bucketOf({ bucket: name, bucketId }: Provisioned): Promise<Bucket | undefined> {
    const bucket = await this.#parts.store.snapshot((snapshot) => this.#parts.namespace.bucket(snapshot, name))
    return bucket?.id === bucketId ? bucket : undefined
  }

  /** What is not asked for stays as it is. Throws NoSuchEntity, EntityAlreadyExists, InvalidArgument, NoSuchBucket. */
  async update(id: string, asked: AskedOptions): Promise<Provisioned> {
    const { store, world, namespace, domains, hooks } = this.#parts
    const shadowSecret = await this.#sealed(id, asked, await this.get(id))
    const changed = await store.transact(async (transaction) => {
      const { shadowSecret: secretBefore, ...before } = await this.#existing(transaction, id)
      const { bucket: name } = before
      const bucket = await namespace.existingBucket(transaction, name)
      if (bucket.id !== before.bucketId) throw new Fault('NoSuchBucket', { BucketName: name })
      // Its owner may have given it another domain since.
      const options = changedOptions({ ...before.options, domain: bucket.domain ?? '' }, asked)
      const { accelerate, policy } = settingsOf(name, bucket, options)
      const { policy: _policy, ...rest } = bucket
      const open: Bucket = { ...rest, documents: accelerate, ...(policy !== undefined && { policy }) }
      namespace.changeBucket(transaction, open)
      await domains.setIn(transaction, open, options.domain)
      const secret = 'shadow' in asked ? shadowSecret : secretBefore
      const provisioned: Provisioned = {
        ...before,
        options,
        ...(secret !== undefined && { shadowSecret: secret }),
        updated: world.now(),
      }
      putProvisioned(transaction, provisioned)
      await hooks.add(transaction, 'updated', provisioned)
      return provisioned
    })
    await this.#setShadow(changed, asked.shadow !== undefined && asked.shadow.secretKey !== hiddenSecret)
    return changed
  }

  /** Gives the bucket the shadow that was chosen, or takes away the one that is not any more. */
  async #setShadow(provisioned: Provisioned, isNew = false): Promise<void> {
    const { shadows } = this.#parts
    const { bucket, bucketId, options } = provisioned
    const standing = (await this.bucketOf(provisioned))?.shadow
    if (shadows === undefined || (!isNew && isShadow(standing, options.shadow))) return
    const secretKey = await this.shadowSecret(provisioned)
    const wanted =
      options.shadow === undefined || secretKey === undefined
        ? undefined
        : { ...rest(options.shadow), writeThrough: options.shadow.writesThrough, secretKey }
    await shadows.configure(bucket, wanted, ({ id }) => {
      if (id !== bucketId) throw new Fault('NoSuchBucket', { BucketName: bucket })
    })
  }

  /** Throws NoSuchEntity, BucketNotEmpty, ServiceUnavailable where another region that has the bucket cannot be asked. */
  async destroy(id: string): Promise<void> {
    const provisioned = await this.get(id)
    if ((await this.bucketOf(provisioned)) !== undefined) await this.#deleteBucket(provisioned)
    await this.#parts.store.transact(async (transaction) => {
      const standing = await findProvisioned(transaction, 'own', id)
      if (standing === undefined) return
      await this.#removeUser(transaction, standing)
      removeProvisioned(transaction, standing)
      await this.#parts.hooks.add(transaction, 'deleted', standing)
    })
  }

  async #deleteBucket({ bucket: name, bucketId }: Provisioned): Promise<void> {
    try {
      await this.#parts.buckets.delete(name, (bucket) => {
        if (bucket.id !== bucketId) throw new Fault('NoSuchBucket', { BucketName: name })
      })
    } catch (error) {
      // Somebody else deleted it meanwhile: what is left of it goes all the same.
      if (!(error instanceof Fault && error.code === 'NoSuchBucket')) throw error
    }
  }

  async #removeUser(transaction: Transaction, { organization, user }: Provisioned): Promise<void> {
    const { records, namespace } = this.#parts
    const standing = await records.find(transaction, organization, 'user', user)
    for (const id of standing?.keys ?? []) {
      const key = await namespace.accessKey(transaction, id)
      if (key !== undefined) namespace.removeAccessKey(transaction, key)
    }
    for (const group of standing?.groups ?? []) records.removeMember(transaction, organization, group, user)
    records.remove(transaction, organization, 'user', user)
  }
}

/** What the options are of a bucket's own settings. */
function settingsOf(name: string, bucket: Bucket | undefined, { isPublic, isAccelerated }: BucketOptions) {
  const { accelerate, ...others } = bucket?.documents ?? {}
  const wasAccelerated = accelerate !== undefined
  return {
    policy: publicPolicy(name, bucket?.policy, isPublic),
    accelerate: {
      ...others,
      ...((isAccelerated || wasAccelerated) && { accelerate: isAccelerated ? 'Enabled' : 'Suspended' }),
    },
  }
}

const rest = ({ accessKey, endpoint, name, region }: ShadowBucket) => ({ accessKey, endpoint, name, region })

/** Whether that is the shadow that was chosen. Another secret is another shadow, which only an update brings. */
function isShadow(standing: Bucket['shadow'], chosen: ShadowBucket | undefined): boolean {
  if (standing === undefined || chosen === undefined) return standing === chosen
  const isSame =
    standing.endpoint === chosen.endpoint.replace(/\/$/, '') && standing.writeThrough === chosen.writesThrough
  return (
    isSame &&
    standing.name === chosen.name &&
    standing.region === chosen.region &&
    standing.accessKey === chosen.accessKey
  )
}
