import { StoreError, type StoreErrorCode } from '#src/store/store.ts'
import {
  databaseOptions,
  errors,
  FdbError,
  type NativeDatabase,
  type NativeModule,
  type NativeTransaction,
  predicates,
  transactionOptions,
} from './native.ts'

/** Parts of a store's key space, below its prefix. */
const spaces = { about: 0, data: 1, marks: 2 } as const

export interface ClientOptions {
  readonly clusterFile: string
  readonly prefix: string
  readonly datacenter?: string | undefined
  /** Milliseconds that a transaction may take with all its retries, if it is not to fail. */
  readonly timeout: number
}

/** Watches that one process may wait for at once. */
const watchesMost = 100_000
/** Milliseconds between two tries at most: whoever lost to a rival often enough should not wait for a second. */
const longestPause = 100

/** One store's part of a cluster: keys below a prefix, and how transactions are begun. */
export class Client {
  readonly #module: NativeModule
  readonly #database: NativeDatabase
  readonly #data: Buffer
  readonly #marks: Buffer
  /** Of the marks, and of all. */
  readonly #end: Buffer
  /** What the store says of itself. */
  readonly aboutKey: Buffer
  readonly options: ClientOptions
  #closed: StoreError | undefined
  #baseline: Promise<unknown> | undefined

  constructor(module: NativeModule, options: ClientOptions) {
    const prefix = Buffer.from(options.prefix)
    const below = (space: number): Buffer => Buffer.concat([prefix, Buffer.from([space])])
    this.#module = module
    this.options = options
    this.#data = below(spaces.data)
    this.#marks = below(spaces.marks)
    this.#end = below(spaces.marks + 1)
    this.aboutKey = below(spaces.about)
    this.#database = module.createDatabase(options.clusterFile)
    this.#database.setOption(databaseOptions.maxWatches, watchesMost)
    this.#database.setOption(databaseOptions.timeout, options.timeout)
    this.#database.setOption(databaseOptions.maxRetryDelay, longestPause)
    if (options.datacenter !== undefined) {
      this.#database.setOption(databaseOptions.datacenterId, Buffer.from(options.datacenter))
    }
  }

  /** The bounds of all that this store has in the cluster. */
  get everything(): readonly [Buffer, Buffer] {
    return [this.aboutKey, this.#end]
  }

  /** The bounds of the marks of transactions. */
  get allMarks(): readonly [Buffer, Buffer] {
    return [this.#marks, this.#end]
  }

  dataKey(key: Uint8Array): Buffer {
    return Buffer.concat([this.#data, key])
  }

  ownKey(whole: Buffer): Buffer {
    return whole.subarray(this.#data.length)
  }

  markKey(id: Uint8Array): Buffer {
    return Buffer.concat([this.#marks, id])
  }

  /** A native transaction that leaves to us what a body has written. */
  transaction(): NativeTransaction {
    const native = this.#database.createTransaction()
    this.ready(native)
    return native
  }

  /** FoundationDB takes watches only from transactions that see their own writes. */
  watchTransaction(): NativeTransaction {
    return this.#database.createTransaction()
  }

  /** To be called for a transaction that was made anew. */
  ready(native: NativeTransaction): void {
    native.setOption(transactionOptions.readYourWritesDisable, null)
  }

  isRetryable(error: FdbError): boolean {
    return this.#module.errorPredicate(predicates.isRetryable, error.code)
  }

  /** Whether it is sure that a commit which failed so was not made, and will not be. */
  isNotCommitted(error: FdbError): boolean {
    return this.#module.errorPredicate(predicates.isRetryableNotCommitted, error.code)
  }

  /**
   * Pending while a watch that was asked for does not have its version yet. What begins after it waits, for a version that is no older: so
   * whoever watches and then looks misses nothing in between. (Versions that are asked for at once may come from different proxies.)
   */
  get baseline(): Promise<unknown> | undefined {
    return this.#baseline
  }

  awaitBaseline(version: Promise<unknown>): void {
    const all = Promise.allSettled([this.#baseline, version]).then(() => {
      if (this.#baseline === all) this.#baseline = undefined
    })
    this.#baseline = all
  }

  check(): void {
    if (this.#closed !== undefined) throw this.#closed
  }

  /** From now on nothing is begun. */
  refuse(): void {
    this.#closed ??= new StoreError('closed', 'the store is closed')
  }

  close(): void {
    this.refuse()
    this.#database.close()
  }
}

const contractCodes: ReadonlyMap<number, StoreErrorCode> = new Map([
  [errors.transactionTooOld, 'transaction_too_old'],
  [errors.transactionTooLarge, 'transaction_too_large'],
])

/** What a driver may throw: FoundationDB's errors in the contract's words, others as they are. */
export function contractError(error: unknown): unknown {
  if (!(error instanceof FdbError)) return error
  const code = contractCodes.get(error.code)
  if (code !== undefined) return new StoreError(code, error.message, { cause: error })
  return new StoreError('unavailable', `FoundationDB did not answer as needed: ${error.message}`, { cause: error })
}
