import assert from 'node:assert/strict'
import { Fault } from '#src/errors.ts'
import { PassingTransaction, passedOn } from '#src/store/passing.ts'
import type { Entry, Snapshot, Store, Transaction } from '#src/store/store.ts'
import { versionstampBytes } from '#src/store/store.ts'
import { afterKey } from '#src/store/tuple.ts'
import { ClusterRecords } from './cluster-records.ts'
import { hasLeft } from './departure-records.ts'
import { keys, subspace } from './keyspace.ts'
import { wholeNamespace } from './namespace-keys.ts'

/**
 * The ordered change log of the namespace, which the root cell writes and every other cell follows.
 *
 * Y2  each row of the namespace that changed since the cell became the root has one entry, in the transaction that changed it; a
 *     change moves it to the end. An entry says which row, never what it is: a page reads that in its own snapshot.
 * Y3  in a cell that is not the root, nothing but the follower writes the namespace.
 */

/** A versionstamp and an order; compares as the changes came. */
export const positionBytes = versionstampBytes + 2

/** Before every change. */
export const noPosition: Uint8Array = new Uint8Array(positionBytes)

/** What changed: one row, or whatever is in a range. */
interface Changed {
  readonly from: Uint8Array
  /** Absent: one row. */
  readonly to?: Uint8Array
}

/** Rows as they are; a range is replaced by its rows, a row without a value is not there. */
export interface NamespaceChange extends Changed {
  readonly rows: readonly Entry[]
}

export interface NamespacePage {
  readonly changes: readonly NamespaceChange[]
  /** Where the next page begins. */
  readonly end: Uint8Array
  readonly hasMore: boolean
}

const rowTag = 0
const rangeTag = 1

function encodeChanged({ from, to }: Changed): Uint8Array {
  if (to === undefined) return Buffer.concat([Uint8Array.of(rowTag), from])
  const head = Buffer.alloc(3)
  head[0] = rangeTag
  head.writeUInt16BE(from.length, 1)
  return Buffer.concat([head, from, to])
}

function decodeChanged(value: Uint8Array): Changed {
  const bytes = Buffer.from(value)
  if (bytes[0] === rowTag) return { from: bytes.subarray(1) }
  assert.equal(bytes[0], rangeTag, 'an entry of the namespace feed')
  const end = 3 + bytes.readUInt16BE(1)
  return { from: bytes.subarray(3, end), to: bytes.subarray(end) }
}

const { from: first, to: beyond } = wholeNamespace
const isInside = (key: Uint8Array): boolean => Buffer.compare(key, first) >= 0 && Buffer.compare(key, beyond) < 0
const meets = (from: Uint8Array, to: Uint8Array): boolean =>
  Buffer.compare(from, beyond) < 0 && Buffer.compare(first, to) < 0

/** A transaction that tells which keys are written, and once that a record was changed; reads go by it. */
class WatchedTransaction extends PassingTransaction {
  readonly #wrote: (changed: Changed) => void
  readonly #fed: () => void
  #isFed = false

  constructor(inner: Transaction, wrote: (changed: Changed) => void, fed: () => void) {
    super(inner)
    this.#wrote = wrote
    this.#fed = fed
  }

  override set(key: Uint8Array, value: Uint8Array): void {
    if (isInside(key)) this.#wrote({ from: key })
    super.set(key, value)
  }

  override clear(key: Uint8Array): void {
    if (isInside(key)) this.#wrote({ from: key })
    super.clear(key)
  }

  override clearRange(from: Uint8Array, to: Uint8Array): void {
    if (meets(from, to)) this.#wrote({ from, to })
    super.clearRange(from, to)
  }

  override add(key: Uint8Array, delta: bigint): void {
    if (isInside(key)) this.#wrote({ from: key })
    super.add(key, delta)
  }

  override append(prefix: Uint8Array, value: Uint8Array): number {
    assert.ok(!isInside(prefix), 'the namespace has no logs of its own')
    if (prefix[0] === subspace.feed && !this.#isFed) {
      this.#isFed = true
      this.#fed()
    }
    return super.append(prefix, value)
  }

  override setStamped(key: Uint8Array, value: Uint8Array, offset: number): void {
    if (isInside(key)) this.#wrote({ from: key })
    super.setStamped(key, value, offset)
  }
}

/** The order that every entry of one commit is below: the head names all of it. */
const lastOrder = 0xffff

async function record(to: Transaction, changed: readonly Changed[]): Promise<void> {
  for (const each of changed) {
    const value = encodeChanged(each)
    const key = keys.namespaceEntry(value)
    const before = await to.get(key)
    if (before !== undefined) to.clear(Buffer.concat([keys.namespaceFeed, before]))
    const position = Buffer.alloc(positionBytes)
    position.writeUInt16BE(to.append(keys.namespaceFeed, value), versionstampBytes)
    to.setStamped(key, position, 0)
  }
  const head = Buffer.alloc(positionBytes)
  head.writeUInt16BE(lastOrder, versionstampBytes)
  to.setStamped(keys.namespaceHead, head, 0)
}

const identityOf = (changed: Changed): string => Buffer.from(encodeChanged(changed)).toString('latin1')

/** Why a cell that is not the root refused to change the namespace. */
export class NotTheRoot extends Error {
  constructor() {
    super('accounts, keys, buckets and their settings are changed in the root region only')
  }
}

/**
 * The store of a cell as all but the follower have it: what changes the namespace goes into its feed as well (Y2), if this cell is the
 * root in the state that it changes (Y3); and once it has left its cluster, no record changes any more (L2).
 */
export function governNamespace(store: Store, cell: number): Store {
  const records = new ClusterRecords()
  return {
    ...passedOn(store),
    transact: (body, since) =>
      store.transact(async (transaction) => {
        const changed = new Map<string, Changed>()
        let left: Promise<boolean> | undefined
        const fed = (): void => {
          // Begun at the first change, not after the last: a read has to go by all that was written before it.
          left = hasLeft(transaction)
          left.catch(() => {})
        }
        const watched = new WatchedTransaction(transaction, (each) => changed.set(identityOf(each), each), fed)
        const result = await body(watched)
        if (left !== undefined && (await left)) throw new Fault('ServiceUnavailable', { message: leftMessage })
        if (changed.size === 0) return result
        const membership = await records.membership(transaction)
        if (membership?.root !== cell) throw new NotTheRoot()
        await record(transaction, [...changed.values()])
        return result
      }, since),
  }
}

const leftMessage = 'This region has left its cluster.'

/** Behind the last change; in a cell that is not the root, nothing but zeros. */
export async function readNamespaceHead(from: Snapshot): Promise<Uint8Array> {
  return Uint8Array.from((await from.get(keys.namespaceHead)) ?? noPosition)
}

/** Of what a range holds; only whole realms are cleared by ranges, and few rows come back. */
const rangeRowsMax = 1_000

async function read(from: Snapshot, changed: Changed): Promise<NamespaceChange> {
  if (changed.to !== undefined) {
    const rows = await from.range(changed.from, changed.to, { limit: rangeRowsMax })
    assert.ok(rows.length < rangeRowsMax, 'a range of the namespace that one page holds')
    return { ...changed, rows }
  }
  const value = await from.get(changed.from)
  return { ...changed, rows: value === undefined ? [] : [{ key: changed.from, value }] }
}

const changesPerPage = 200
const bytesPerPage = 1 << 20

/** The changes behind a position, as their rows are in this snapshot. */
export async function readNamespacePage(from: Snapshot, after: Uint8Array): Promise<NamespacePage> {
  const start = afterKey(Buffer.concat([keys.namespaceFeed, after]))
  const end = Buffer.concat([keys.namespaceFeed, Buffer.alloc(positionBytes, 0xff)])
  const entries = await from.range(start, end, { limit: changesPerPage })
  const changes: NamespaceChange[] = []
  let bytes = 0
  for (const { key, value } of entries) {
    const change = await read(from, decodeChanged(value))
    changes.push(change)
    bytes += change.rows.reduce((sum, row) => sum + row.key.length + row.value.length, 0)
    if (bytes < bytesPerPage) continue
    return { changes, end: Uint8Array.from(key.subarray(keys.namespaceFeed.length)), hasMore: true }
  }
  const last = entries.at(-1)
  if (last !== undefined && entries.length === changesPerPage) {
    return { changes, end: Uint8Array.from(last.key.subarray(keys.namespaceFeed.length)), hasMore: true }
  }
  const head = await readNamespaceHead(from)
  return { changes, end: Buffer.compare(head, after) > 0 ? head : after, hasMore: false }
}

export function applyNamespaceChange(to: Transaction, { from, to: end, rows }: NamespaceChange): void {
  if (end === undefined) to.clear(from)
  else to.clearRange(from, end)
  for (const { key, value } of rows) to.set(key, value)
}
