import type { Moment } from '#src/world.ts'

/**
 * An ordered key-value store with serialisable transactions: FoundationDB's model, which every driver keeps.
 *
 * K1  transactions are strictly serialisable: of two that conflict, one runs its body again.
 * K2  a transaction whose `transact` resolved is on stable storage; one whose `transact` rejected left nothing behind,
 *     unless it rejected with StoreError `unknown_result`, and then it is there whole or not at all.
 * K3  every read of one transaction or snapshot sees one state of the store (and a transaction its own writes before it).
 * K4  the limits below hold on every driver, so that what passes on one passes on all.
 * K5  a value that does not match its checksum is never returned: the read rejects with StoreError `corrupt`.
 */
export interface Store {
  /**
   * Commits what body wrote, all or nothing. Body may run again: it has no effect but through the transaction. `since`: its first run may
   * read a state that is no older than that, and older than the call; all that it read, and not relaxed, holds at the commit.
   */
  transact<T>(body: (transaction: Transaction) => Promise<T>, since?: Moment): Promise<T>
  /**
   * Reads one state, no older than the last commit acknowledged by any process before the call, or before `since`, where that is given; never
   * conflicts. What was read since one moment may be of one state, or each of a newer one: so a moment is not for whoever wants to see
   * what was written after it.
   */
  snapshot<T>(body: (snapshot: Snapshot) => Promise<T>, since?: Moment): Promise<T>
  /**
   * What will probably be read since that moment. Nothing follows from it, but that the reads may be quicker. Absent: they do not wait for
   * anything that could be asked early.
   */
  foresee?(since: Moment, keys: readonly Uint8Array[]): void
  /**
   * Resolves once the key's value is no longer what it was at the time of the call, by whichever process; may resolve
   * without a change. Rejects with the signal's reason.
   */
  watch(key: Uint8Array, signal: AbortSignal): Promise<void>
  /** Waits for commits under way, then lets go of the files. */
  close(): Promise<void>
}

export interface Snapshot {
  get(key: Uint8Array): Promise<Uint8Array | undefined>
  /** The first `limit` entries of [from, to) in key order, or the last ones in descending order if `reverse`. */
  range(from: Uint8Array, to: Uint8Array, options: RangeOptions): Promise<readonly Entry[]>
}

export interface Transaction extends Snapshot {
  /** Reads of the same state, with this transaction's writes, that do not make it conflict. */
  readonly relaxed: Snapshot
  set(key: Uint8Array, value: Uint8Array): void
  clear(key: Uint8Array): void
  /** Clears [from, to). */
  clearRange(from: Uint8Array, to: Uint8Array): void
  /** Adds to a 64-bit little-endian two's complement integer (absent = 0), without reading: adds do not conflict. */
  add(key: Uint8Array, delta: bigint): void
  /**
   * Sets prefix ‖ versionstamp ‖ order, where the versionstamp (10 bytes) grows with each commit and the order (2 bytes, big
   * endian), which is returned, with each append of the transaction: at most 65,536. Appends do not conflict, and are not
   * seen by this transaction's reads.
   */
  append(prefix: Uint8Array, value: Uint8Array): number
  /** Sets a value whose 10 bytes at `offset` become this commit's versionstamp. Not seen by this transaction's reads. */
  setStamped(key: Uint8Array, value: Uint8Array, offset: number): void
}

export interface Entry {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

export interface RangeOptions {
  readonly limit: number
  readonly reverse?: boolean
}

export const versionstampBytes = 10

/** What one transaction may hold: FoundationDB's limits, or somewhat less. */
export const limits = {
  /** LMDB's own limit is 1,978 bytes with 4 KiB pages; FoundationDB's is 10,000. One number for all (C6). */
  keyBytes: 1_900,
  /** FoundationDB's own limit is 100,000; the rest is room for a driver's checksum. */
  valueBytes: 99_900,
  /** Of what is read and written, counted so that it is never less than what FoundationDB counts (writes.ts), in bytes. */
  transactionBytes: 10_000_000,
  /** From the first read to the commit. */
  transactionMilliseconds: 5_000,
} as const

export type StoreErrorCode =
  | 'closed'
  | 'corrupt'
  | 'full'
  | 'key_too_large'
  | 'transaction_too_large'
  | 'transaction_too_old'
  | 'unavailable'
  | 'unknown_result'
  | 'value_too_large'

/** What a driver could not do. Conflicts are not among them: transact retries those itself. */
export class StoreError extends Error {
  readonly code: StoreErrorCode
  /** Of the value that is `corrupt`, where the driver can tell. */
  readonly key: Uint8Array | undefined

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions & { readonly key?: Uint8Array }) {
    super(message, options)
    this.code = code
    this.key = options?.key
  }
}
