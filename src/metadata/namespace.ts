import { Fault } from '#src/errors.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { AccessKey, Account } from '#src/model/identity.ts'
import { type Entry, limits, type Snapshot, type Transaction } from '#src/store/store.ts'
import { afterKey, TupleReader } from '#src/store/tuple.ts'
import { DecodedRows } from './decoded-rows.ts'
import {
  decodeAccessKey,
  decodeAccount,
  decodeBucket,
  decodeNumber,
  decodeText,
  encodeAccessKey,
  encodeAccount,
  encodeBucket,
  encodeNumber,
  encodeText,
} from './namespace-codec.ts'
import {
  accessKeyKey,
  accountKey,
  allAccessKeys,
  allAccounts,
  allBuckets,
  allMoving,
  bucketIdKey,
  bucketKey,
  bucketsOf,
  domainKey,
  emailKey,
  type KeyRange,
  keysOf,
  movingKey,
  ownedBucketKey,
  ownedKeyKey,
} from './namespace-keys.ts'

/** Of each kind of row; ten thousand buckets of ordinary size. */
const decodedBytes = 8 * 1024 * 1024
/** Rows in one range read. */
const pageRows = 1000

/** No name, id or address is longer; what clients ask for may be, and must not become a key that no store takes (C6). */
const nameLengthMost = 254

/** Whether a row of this name can be there. */
const isAskable = (name: string): boolean => name.length <= nameLengthMost && name.isWellFormed()

const nothing = new Uint8Array(0)

/**
 * Buckets, accounts and access keys, row by row, in whatever transaction or snapshot the caller has open.
 *
 * N3  a bucket id is given once, ever: the counter only grows, and in the transaction that uses it (C22).
 * N4  the indexes (buckets and keys of an account, email, buckets that move) change in the transaction that changes what they point at.
 */
export class Namespace {
  readonly #buckets = new DecodedRows(decodeBucket, decodedBytes)
  readonly #accounts = new DecodedRows(decodeAccount, decodedBytes)
  readonly #keys = new DecodedRows(decodeAccessKey, decodedBytes)

  /** Read from a transaction, it makes that transaction conflict with every change of the bucket (C22). */
  async bucket(from: Snapshot, name: string): Promise<Bucket | undefined> {
    const bytes = isAskable(name) ? await from.get(bucketKey(name)) : undefined
    return bytes === undefined ? undefined : this.#buckets.value(name, bytes)
  }

  /** As `bucket`; Fault `NoSuchBucket` where there is none. */
  async existingBucket(from: Snapshot, name: string): Promise<Bucket> {
    const bucket = await this.bucket(from, name)
    if (bucket === undefined) throw new Fault('NoSuchBucket', { BucketName: name })
    return bucket
  }

  /** Where the bucket of this name is, if there is one; undefined: there can be none. */
  rowOfBucket(name: string): Uint8Array | undefined {
    return name !== '' && isAskable(name) ? bucketKey(name) : undefined
  }

  /** The bucket as it was when this process last read it: good for guesses only. */
  lastBucket(name: string): Bucket | undefined {
    return this.#buckets.last(name)
  }

  /** Of all accounts. */
  async buckets(from: Snapshot): Promise<readonly Bucket[]> {
    return (await all(from, allBuckets())).map((entry) => decodeBucket(entry.value))
  }

  /** No bucket that is known here ever had a larger id. */
  async largestBucketId(from: Snapshot): Promise<number> {
    const largest = await from.get(bucketIdKey)
    return largest === undefined ? 0 : decodeNumber(largest)
  }

  async nextBucketId(transaction: Transaction): Promise<number> {
    const largest = await transaction.get(bucketIdKey)
    const id = (largest === undefined ? 0 : decodeNumber(largest)) + 1
    transaction.set(bucketIdKey, encodeNumber(id))
    return id
  }

  addBucket(transaction: Transaction, bucket: Bucket): void {
    this.changeBucket(transaction, bucket)
    transaction.set(ownedBucketKey(bucket.owner, bucket.name), nothing)
  }

  /** Overwrites the row of a bucket that keeps its name and its owner. */
  changeBucket(transaction: Transaction, bucket: Bucket): void {
    const row = encodeBucket(bucket)
    if (row.length > limits.valueBytes) {
      throw new Fault('EntityTooLarge', { message: 'The settings of the bucket are too large together.' })
    }
    transaction.set(bucketKey(bucket.name), row)
    if (bucket.move !== undefined) transaction.set(movingKey(bucket.id), encodeText(bucket.name))
  }

  /** Overwrites the row of a bucket whose location is not changing any more. */
  endMove(transaction: Transaction, { move: _, ...bucket }: Bucket): Bucket {
    this.changeBucket(transaction, bucket)
    transaction.clear(movingKey(bucket.id))
    return bucket
  }

  /** Buckets whose location is changing, by id. */
  async moving(from: Snapshot): Promise<ReadonlyMap<number, string>> {
    const rows = await all(from, allMoving())
    return new Map(rows.map(({ key, value }) => [lastNumber(key), decodeText(value)]))
  }

  /** The bucket that answers to a host name. */
  async bucketOfDomain(from: Snapshot, domain: string): Promise<string | undefined> {
    const bytes = isAskable(domain) ? await from.get(domainKey(domain)) : undefined
    return bytes === undefined ? undefined : decodeText(bytes)
  }

  /** Who had the name before has to have given it up. */
  changeDomain(transaction: Transaction, bucket: Bucket, domain: string | undefined): Bucket {
    const { domain: before, ...rest } = bucket
    if (before !== undefined) transaction.clear(domainKey(before))
    if (domain !== undefined) transaction.set(domainKey(domain), encodeText(bucket.name))
    const changed = domain === undefined ? rest : { ...rest, domain }
    this.changeBucket(transaction, changed)
    return changed
  }

  removeBucket(transaction: Transaction, bucket: Bucket): void {
    if (bucket.domain !== undefined) transaction.clear(domainKey(bucket.domain))
    transaction.clear(bucketKey(bucket.name))
    transaction.clear(ownedBucketKey(bucket.owner, bucket.name))
  }

  /** By name, which is also what the next page starts after. */
  async bucketsOf(
    from: Snapshot,
    owner: string,
    options: { prefix?: string; after?: string; limit: number },
  ): Promise<readonly Bucket[]> {
    const { prefix = '', after } = options
    if (!isAskable(prefix)) return []
    // Cut where every name has ended, it still stands between the same names.
    const range = bucketsOf(owner, prefix, after?.slice(0, nameLengthMost))
    const entries = await from.range(range.from, range.to, { limit: options.limit })
    const owned = await Promise.all(entries.map((entry) => this.bucket(from, lastText(entry.key))))
    return owned.filter((bucket) => bucket !== undefined)
  }

  /** How many buckets an account owns, counted up to `most`. */
  async countOwned(from: Snapshot, owner: string, most: number): Promise<number> {
    const range = bucketsOf(owner, '', undefined)
    let count = 0
    for (let next = range.from; count < most; ) {
      const entries = await from.range(next, range.to, { limit: Math.min(pageRows, most - count) })
      const last = entries.at(-1)
      if (last === undefined) break
      count += entries.length
      next = afterKey(last.key)
    }
    return count
  }

  async account(from: Snapshot, id: string): Promise<Account | undefined> {
    const bytes = isAskable(id) ? await from.get(accountKey(id)) : undefined
    return bytes === undefined ? undefined : this.#accounts.value(id, bytes)
  }

  async accountByEmail(from: Snapshot, email: string): Promise<Account | undefined> {
    const id = isAskable(email) ? await from.get(emailKey(email.toLowerCase())) : undefined
    return id === undefined ? undefined : await this.account(from, decodeText(id))
  }

  async accounts(from: Snapshot): Promise<readonly Account[]> {
    return (await all(from, allAccounts())).map((entry) => decodeAccount(entry.value))
  }

  addAccount(transaction: Transaction, account: Account): void {
    transaction.set(accountKey(account.id), encodeAccount(account))
    // People write addresses in any case; two accounts must not differ by that alone.
    if (account.email !== '') transaction.set(emailKey(account.email.toLowerCase()), encodeText(account.id))
  }

  removeAccount(transaction: Transaction, account: Account): void {
    transaction.clear(accountKey(account.id))
    if (account.email !== '') transaction.clear(emailKey(account.email.toLowerCase()))
  }

  async accessKey(from: Snapshot, id: string): Promise<AccessKey | undefined> {
    const bytes = isAskable(id) ? await from.get(accessKeyKey(id)) : undefined
    return bytes === undefined ? undefined : this.#keys.value(id, bytes)
  }

  async accessKeys(from: Snapshot): Promise<readonly AccessKey[]> {
    return (await all(from, allAccessKeys())).map((entry) => decodeAccessKey(entry.value))
  }

  async accessKeysOf(from: Snapshot, accountId: string): Promise<readonly AccessKey[]> {
    const entries = await all(from, keysOf(accountId))
    const keys = await Promise.all(entries.map((entry) => this.accessKey(from, lastText(entry.key))))
    return keys.filter((key) => key !== undefined)
  }

  /** Adds the key, or overwrites it for the same account. */
  setAccessKey(transaction: Transaction, key: AccessKey): void {
    transaction.set(accessKeyKey(key.id), encodeAccessKey(key))
    transaction.set(ownedKeyKey(key.accountId, key.id), nothing)
  }

  removeAccessKey(transaction: Transaction, key: AccessKey): void {
    transaction.clear(accessKeyKey(key.id))
    transaction.clear(ownedKeyKey(key.accountId, key.id))
  }
}

async function all(from: Snapshot, range: KeyRange): Promise<Entry[]> {
  const entries: Entry[] = []
  let start = range.from
  for (;;) {
    const page = await from.range(start, range.to, { limit: pageRows })
    entries.push(...page)
    const last = page.at(-1)
    if (last === undefined || page.length < pageRows) return entries
    start = afterKey(last.key)
  }
}

/** Of an index key: subspace, table, account, name. */
function lastText(key: Uint8Array): string {
  const reader = new TupleReader(key, 1)
  reader.integer()
  reader.text()
  return reader.text()
}

/** Of an index key: subspace, table, number. */
function lastNumber(key: Uint8Array): number {
  const reader = new TupleReader(key, 1)
  reader.integer()
  return reader.number()
}
