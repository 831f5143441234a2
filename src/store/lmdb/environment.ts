import assert from 'node:assert/strict'
import { statfsSync } from 'node:fs'
import * as lmdb from 'lmdb'
import type { View } from '#src/store/overlay.ts'
import { type Entry, limits, StoreError } from '#src/store/store.ts'
import { afterKey } from '#src/store/tuple.ts'
import type { Target } from '#src/store/writes.ts'
import { checksumBytes, seal, unseal } from './checksum.ts'

/** A read transaction of LMDB, which sees one state from renew to reset. lmdb-js has it, its types do not. */
interface ReadTransaction {
  readonly address: number
  renew(): void
  abort(): void
}

interface Native {
  readonly Txn: new (environment: unknown, flags: number) => ReadTransaction
  resetTxn(address: number): void
}

interface Internals {
  readonly env: {
    info(): { readonly lastTxnId: number; readonly lastPageNumber: number }
    stat(): {
      readonly pageSize: number
      readonly treeBranchPageCount: number
      readonly treeLeafPageCount: number
      readonly overflowPages: number
    }
  }
}

/**
 * Bytes as they are. lmdb-js reads into buffers of its own, which the next read overwrites; its `binary` encodings copy those
 * into a new ArrayBuffer each, which costs more than the read. Small copies share one here, as Node's buffers do.
 */
const plainValues = {
  encode: (value: Buffer): Buffer => value,
  decode: (source: Buffer): Buffer => copyOf(source, 0, source.length),
}
const plainKeys = {
  writeKey: (key: Uint8Array, target: Buffer, start: number): number => {
    target.set(key, start)
    return start + key.length
  },
  readKey: copyOf,
}

type Database = lmdb.RootDatabase<Buffer, Buffer> & Internals

const native = (lmdb as unknown as { readonly nativeAddon: Native }).nativeAddon
const readOnly = 0x20000
/**
 * 1 TiB of a process's 128: the file grows as it needs to, and lmdb-js would map it anew, keeping the old mapping too, whenever it
 * outgrew this.
 */
const addressSpace = 2 ** 40
/** Slots for read transactions in the lock file, shared by all processes; 64 bytes each. */
const readerSlots = 16_384
/** Read transactions that one process keeps at most: a request beyond that waits for another's end. */
export const readersMost = 1_024
const removedAtOnce = 1_000
const least = Buffer.from([0])

export interface EnvironmentOptions {
  readonly path: string
}

/** A state of the store that stays as it is until it is let go. */
export interface Pinned {
  readonly view: View
  release(): void
}

/** One LMDB environment: everything that touches lmdb-js. Its one, unnamed database holds all keys. */
export class Environment {
  readonly #path: string
  readonly #database: Database
  readonly #idle: PinnedState[] = []
  #readers = 0
  readonly #scratch = Buffer.allocUnsafeSlow(limits.valueBytes + checksumBytes)

  constructor({ path }: EnvironmentOptions) {
    this.#path = path
    const options = {
      path,
      // The only mode found safe under power cuts: the default acknowledges before the data is on the medium.
      overlappingSync: false,
      // Never noMemInit: the unused ends of pages would go to disk with whatever lay in this process's memory, plaintext too.
      encoder: plainValues,
      keyEncoder: plainKeys,
      mapSize: addressSpace,
      // We batch ourselves; and lmdb-js's batches leave a promise behind that nobody can catch when a commit fails.
      eventTurnBatching: false,
      maxReaders: readerSlots,
    } as const
    this.#database = lmdb.open<Buffer, Buffer>(options) as Database
  }

  /** The number of the last commit, by whichever process. */
  lastCommit(): number {
    return this.#database.env.info().lastTxnId
  }

  /** The bytes of all pages that were ever used, free or not. */
  size(): number {
    return (this.#database.env.info().lastPageNumber + 1) * this.#database.env.stat().pageSize
  }

  /** Of pages that hold nothing any more: writes take them before the file grows, and it never shrinks. */
  reusableBytes(): number {
    const { pageSize, treeBranchPageCount, treeLeafPageCount, overflowPages } = this.#database.env.stat()
    return Math.max(0, this.size() - (treeBranchPageCount + treeLeafPageCount + overflowPages) * pageSize)
  }

  /** Touches every page that holds something. */
  readAll(): void {
    for (const entry of this.#database.getRange({ start: least })) void entry
  }

  /** Pins the newest state; undefined if no more states can be pinned now. */
  pin(): Pinned | undefined {
    const state = this.#idle.pop() ?? this.#reader()
    state?.renew()
    return state
  }

  /**
   * Runs `change` inside one LMDB write transaction, with the number of the commit that it will be; resolves when that is on
   * stable storage. If this rejects, nothing of it is kept, unless it does with StoreError `unknown_result`.
   */
  async write(change: (target: Target & View, commit: number) => void): Promise<void> {
    const database = this.#database
    // A child transaction, since only that can be undone: lmdb-js commits what a plain one wrote before it threw.
    const written = database.childTransaction(() => {
      change(new WriteView(database, this.#scratch), database.getWriteTxnId())
    })
    try {
      await written
    } catch (error) {
      throw this.#commitError(await reasonOf(error))
    }
  }

  async close(): Promise<void> {
    for (const state of this.#idle.splice(0)) state.abort()
    await this.#database.close()
  }

  /** LMDB's refusals in the contract's words; what `change` threw, as it is. */
  #commitError(error: unknown): unknown {
    const code = codeOf(error)
    if (typeof code !== 'number') return error
    // LMDB calls a write that was cut short for want of space an input/output error, as it does one of the disk.
    if (fullCodes.includes(code) || (code === inputOutput && this.#freeBytes() < leastFree)) {
      return new StoreError('full', 'no space for the commit', { cause: error })
    }
    return new StoreError('unknown_result', 'the commit failed, and nobody can say how far it came', { cause: error })
  }

  #freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.#path)
    return bavail * bsize
  }

  #reader(): PinnedState | undefined {
    if (this.#readers >= readersMost) return undefined
    this.#readers++
    return new PinnedState(this.#database, this.#idle)
  }
}

/** A read transaction and what reads from it, used again for one state after another: most requests pin three. */
class PinnedState implements Pinned {
  readonly view: View
  readonly #transaction: ReadTransaction
  readonly #idle: PinnedState[]

  constructor(database: Database, idle: PinnedState[]) {
    this.#transaction = new native.Txn(database.env, readOnly)
    native.resetTxn(this.#transaction.address)
    this.view = new ReadView(database, { transaction: this.#transaction })
    this.#idle = idle
  }

  renew(): void {
    this.#transaction.renew()
  }

  release(): void {
    // Must be reset before it is renewed: renewing a transaction in use silently keeps its old state.
    native.resetTxn(this.#transaction.address)
    this.#idle.push(this)
  }

  abort(): void {
    this.#transaction.abort()
  }
}

class ReadView implements View {
  readonly #database: Database
  readonly #options: { readonly transaction: ReadTransaction } | undefined

  constructor(database: Database, options?: { readonly transaction: ReadTransaction }) {
    this.#database = database
    this.#options = options
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const stored = this.#stored(key)
    return stored === undefined ? undefined : unseal(key, stored)
  }

  range(from: Uint8Array, to: Uint8Array, limit: number, reverse: boolean): Entry[] {
    const start = from.length === 0 ? least : from
    const end = to
    const bounds = reverse
      ? { start: end, end: start, reverse, exclusiveStart: true, inclusiveEnd: true }
      : { start, end }
    const entries: Entry[] = []
    try {
      for (const { key, value } of this.#database.getRange({ ...bounds, ...this.#options, limit } as never)) {
        entries.push({ key, value: unseal(key, value) })
      }
    } catch (error) {
      throw readError(error)
    }
    return entries
  }

  #stored(key: Uint8Array): Buffer | undefined {
    try {
      return this.#database.get(key as Buffer, this.#options as never)
    } catch (error) {
      throw readError(error)
    }
  }
}

class WriteView extends ReadView implements Target {
  readonly #target: Database
  readonly #scratch: Buffer

  constructor(database: Database, scratch: Buffer) {
    super(database)
    this.#target = database
    this.#scratch = scratch
  }

  set(key: Uint8Array, value: Uint8Array): void {
    const size = seal(key, value, this.#scratch)
    void this.#target.put(key as Buffer, this.#scratch.subarray(0, size))
  }

  clear(key: Uint8Array): void {
    void this.#target.remove(key as Buffer)
  }

  clearRange(from: Uint8Array, to: Uint8Array): void {
    let start = from.length === 0 ? least : from
    for (;;) {
      const keys = [...this.#target.getKeys({ start: start as Buffer, end: to as Buffer, limit: removedAtOnce })]
      for (const key of keys) this.clear(key)
      const last = keys.at(-1)
      if (last === undefined || keys.length < removedAtOnce) return
      start = afterKey(last)
      assert.ok(start.length > 0)
    }
  }
}

/** MDB_MAP_FULL, ENOSPC, EDQUOT. */
const fullCodes: readonly unknown[] = [-30792, 28, 122]
const inputOutput = 5
/** Bytes; a file system with fewer counts as full. */
const leastFree = 2 ** 20
/** MDB_PAGE_NOTFOUND, MDB_CORRUPTED, MDB_INVALID. */
const brokenPages: readonly unknown[] = [-30797, -30796, -30793]

function copyOf(source: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafe(end - start)
  source.copy(copy, 0, start, end)
  return copy
}

/** lmdb-js tells why a commit failed by a second promise, which must not go unheard. */
async function reasonOf(error: unknown): Promise<unknown> {
  if (!(error instanceof Error && 'commitError' in error)) return error
  try {
    return await error.commitError
  } catch (reason) {
    return reason
  }
}

function readError(error: unknown): unknown {
  if (!brokenPages.includes(codeOf(error))) return error
  return new StoreError('corrupt', 'a page of the data file is broken', { cause: error })
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
}
