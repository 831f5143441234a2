import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { Fault } from '#src/errors.ts'
import { clearConfigurations } from '#src/metadata/configuration-records.ts'
import { clearLogsTo, type SealedLog } from '#src/metadata/log-records.ts'
import type { Namespace } from '#src/metadata/namespace.ts'
import { OrganizationRecords } from '#src/metadata/organization-records.ts'
import { abortUploads } from '#src/metadata/upload-records.ts'
import type { Acl } from '#src/model/access.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { checkBucketName } from '#src/model/names.ts'
import type { Snapshot, Store, Transaction } from '#src/store/store.ts'
import type { Moment, World } from '#src/world.ts'
import type { Page } from './page.ts'
import type { Buckets, CreateBucket } from './services.ts'

/** Whether no object, version or delete marker of the bucket is left. Read in the deleting transaction. */
export type IsEmpty = (transaction: Transaction, bucket: Bucket) => Promise<boolean>

/** What becomes of the log of a bucket that goes. */
export interface ClosingLogs {
  close(transaction: Transaction, bucket: Bucket): Promise<SealedLog | undefined>
  deliver(sealed: SealedLog): Promise<void>
}

/** The cells that may have objects of a bucket, as its deletion asks them (C22). Absent: there is but this one. */
export interface OtherCells {
  /** All whose word is needed, this one among them where it has the bucket; none: only this one has. Read in the transaction. */
  cells(from: Snapshot, bucket: Bucket): Promise<readonly number[]>
  /**
   * Resolves once each of them has seen the mark on the bucket, has what the others had written to it until then, and is empty.
   * Fault `BucketNotEmpty`; `ServiceUnavailable`: one of them cannot be asked.
   */
  checkEmpty(marked: Bucket, cells: readonly number[]): Promise<void>
  /** Resolves once those that can be reached know that the mark is gone, or after some seconds. */
  unmarked(): Promise<void>
}

/** As with AWS: https://docs.aws.amazon.com/AmazonS3/latest/userguide/BucketRestrictions.html */
const bucketsMost = 10_000

/** That one deletion may end: they are one transaction, with two small writes each. */
export const uploadsMost = 1000

export const tooManyUploads = (name: string): Fault => {
  const message = 'The bucket has too many uploads in progress: abort some first.'
  return new Fault('BucketNotEmpty', { BucketName: name, message })
}

/**
 * B1  of requests that create one name at once, one makes the bucket; the others see it.
 * B2  a bucket is deleted only in a transaction that has seen it empty; an object written meanwhile makes one of both fail.
 * B3  uploads in progress end with their bucket, and only if it does: their parts are freed as after an abort (C26).
 * B4  an account owns so many buckets at most, and an organisation as many as its quota says, also where it asks for several at once.
 */
export class NamespaceBuckets implements Buckets {
  readonly #store: Store
  readonly #world: World
  readonly #namespace: Namespace
  readonly #isEmpty: IsEmpty
  readonly #logs: ClosingLogs | undefined
  readonly #others: OtherCells | undefined
  readonly #organizations = new OrganizationRecords()
  readonly most: number

  constructor(parts: {
    store: Store
    world: World
    namespace: Namespace
    isEmpty: IsEmpty
    logs?: ClosingLogs
    others?: OtherCells
    most?: number
  }) {
    this.most = parts.most ?? bucketsMost
    this.#store = parts.store
    this.#world = parts.world
    this.#namespace = parts.namespace
    this.#isEmpty = parts.isEmpty
    this.#logs = parts.logs
    this.#others = parts.others
  }

  async create(request: CreateBucket): Promise<Bucket> {
    checkBucketName(request.name)
    return await this.#store.transact(async (transaction) => {
      const standing = await this.#namespace.bucket(transaction, request.name)
      if (standing === undefined) return await this.addIn(transaction, request)
      if (standing.state === 'deleting') throw new Fault('OperationAborted', { BucketName: request.name })
      checkSame(standing, request)
      return standing
    })
  }

  /** In a transaction of the caller's; Fault `BucketAlreadyExists` where there is one of that name, whosever it is. */
  async addIn(transaction: Transaction, request: CreateBucket & Partial<Bucket>): Promise<Bucket> {
    const { name, owner } = request
    checkBucketName(name)
    if ((await this.#namespace.bucket(transaction, name)) !== undefined) {
      throw new Fault('BucketAlreadyExists', { BucketName: name })
    }
    const { quota } = (await this.#organizations.organization(transaction, owner)) ?? {}
    const most = Math.min(this.most, quota?.buckets ?? this.most)
    if ((await this.#namespace.countOwned(transaction, owner, most)) >= most) throw new Fault('TooManyBuckets')
    const bucket: Bucket = {
      documents: {},
      ...request,
      id: await this.#namespace.nextBucketId(transaction),
      created: this.#world.now(),
      epoch: 1,
      state: 'active',
      // https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html: a bucket with locks is versioned.
      versioning: request.hasObjectLock ? 'enabled' : 'off',
      ...(quota?.bytes !== undefined && { isLimited: true }),
    }
    this.#namespace.addBucket(transaction, bucket)
    return bucket
  }

  async get(name: string, since?: Moment): Promise<Bucket> {
    return await this.#store.snapshot((snapshot) => this.#namespace.existingBucket(snapshot, name), since)
  }

  async list(owner: string, options: { prefix?: string; after?: string; limit: number }): Promise<Page<Bucket>> {
    const { limit } = options
    const found = await this.#store.snapshot((snapshot) =>
      this.#namespace.bucketsOf(snapshot, owner, { ...options, limit: limit + 1 }),
    )
    const items = found.slice(0, limit)
    const last = items.at(-1)
    return found.length > limit && last !== undefined ? { items, next: last.name } : { items }
  }

  async update(name: string, change: (bucket: Bucket) => Bucket): Promise<Bucket> {
    return await this.#store.transact(async (transaction) => {
      const before = await this.#namespace.existingBucket(transaction, name)
      const after = change(before)
      assert.ok(after.name === before.name && after.id === before.id && after.owner === before.owner, 'the same bucket')
      if (after !== before) this.#namespace.changeBucket(transaction, after)
      return after
    })
  }

  async delete(name: string, check?: (bucket: Bucket) => void): Promise<void> {
    const begun = await this.#store.transact(async (transaction) => {
      const bucket = await this.#namespace.existingBucket(transaction, name)
      check?.(bucket)
      if (bucket.move !== undefined) {
        const message = 'The regions of the bucket are changing. Try again when that is done.'
        throw new Fault('OperationAborted', { BucketName: name, message })
      }
      const cells = (await this.#others?.cells(transaction, bucket)) ?? []
      if (cells.length === 0) return { sealed: await this.#remove(transaction, bucket) }
      if (!(await this.#isEmpty(transaction, bucket))) throw new Fault('BucketNotEmpty', { BucketName: name })
      // A deletion that is under way already is taken over: who began it may be no more.
      const marked: Bucket = { ...bucket, state: 'deleting', epoch: bucket.epoch + 1 }
      this.#namespace.changeBucket(transaction, marked)
      return { marked, cells }
    })
    if (begun.marked !== undefined) await this.#deleteMarked(begun.marked, begun.cells)
    else await this.#deliver(begun.sealed)
  }

  /** C22: asks the other cells, and takes the mark away again where the bucket stays. */
  async #deleteMarked(marked: Bucket, cells: readonly number[]): Promise<void> {
    const isMarked = (bucket: Bucket | undefined): bucket is Bucket =>
      bucket?.id === marked.id && bucket.epoch === marked.epoch && bucket.state === 'deleting'
    const { name } = marked
    try {
      await this.#others?.checkEmpty(marked, cells)
      const sealed = await this.#store.transact(async (transaction) => {
        const bucket = await this.#namespace.bucket(transaction, name)
        if (!isMarked(bucket)) throw new Fault('OperationAborted', { BucketName: name })
        return await this.#remove(transaction, bucket)
      })
      await this.#deliver(sealed)
    } catch (error) {
      await this.#store.transact(async (transaction) => {
        const bucket = await this.#namespace.bucket(transaction, name)
        if (isMarked(bucket)) this.#namespace.changeBucket(transaction, unmarked(bucket))
      })
      await this.#others?.unmarked()
      throw error
    }
  }

  async #remove(transaction: Transaction, bucket: Bucket): Promise<SealedLog | undefined> {
    const { name, id } = bucket
    if (!(await this.#isEmpty(transaction, bucket))) throw new Fault('BucketNotEmpty', { BucketName: name })
    if (!(await abortUploads(transaction, id, uploadsMost))) throw tooManyUploads(name)
    // Logs that were still to come to it have nowhere to go.
    clearLogsTo(transaction, id)
    clearConfigurations(transaction, id)
    this.#namespace.removeBucket(transaction, bucket)
    return await this.#logs?.close(transaction, bucket)
  }

  async #deliver(sealed: SealedLog | undefined): Promise<void> {
    if (sealed !== undefined) await this.#logs?.deliver(sealed)
  }
}

/** A bucket that stays, after all. */
export const unmarked = (bucket: Bucket): Bucket => ({ ...bucket, state: 'active', epoch: bucket.epoch + 1 })

/**
 * Asking for a bucket that one has is a success, as in us-east-1, where AWS would reset the ACL: a request for another ACL is
 * refused here, as ceph and its test suite have it, since nobody who repeats a request means to open a bucket.
 */
function checkSame(standing: Bucket, request: CreateBucket): void {
  const details = { BucketName: request.name }
  if (standing.owner !== request.owner) throw new Fault('BucketAlreadyExists', details)
  if (!sameGrants(standing.acl, request.acl)) throw new Fault('BucketAlreadyExists', details)
  const isSame =
    standing.location === request.location &&
    standing.hasObjectLock === request.hasObjectLock &&
    (request.durability === undefined || standing.durability === request.durability) &&
    (request.ownership === undefined || standing.ownership === request.ownership)
  if (!isSame) throw new Fault('BucketAlreadyOwnedByYou', details)
}

function sameGrants(one: Acl, other: Acl): boolean {
  return isDeepStrictEqual(one.grants, other.grants)
}
