import { decodeBlob } from '#src/metadata/blob-codec.ts'
import { blobOfRow, copyIn } from '#src/metadata/blob-records.ts'
import { keys, type subspace, under } from '#src/metadata/keyspace.ts'
import { decodeVersion } from '#src/metadata/version-codec.ts'
import type { Stamp } from '#src/model/stamp.ts'
import { blobOf, type Content } from '#src/model/version.ts'
import type { View } from '#src/store/overlay.ts'
import { TupleReader } from '#src/store/tuple.ts'
import { type Birth, type Ledger, standing, Violation } from './ledger.ts'

/** One cell, when everything is quiet. */
export interface QuietCell {
  readonly name: string
  readonly view: View
  /** Its replicated rows, in a form that is equal in two cells exactly if the records are. */
  readonly rows: ReadonlyMap<string, string>
}

const everything = Number.POSITIVE_INFINITY

/** I4: all cells hold the same records. */
export function checkConverged(cells: readonly QuietCell[]): void {
  const [first, ...others] = cells
  if (first === undefined) return
  for (const other of others) {
    for (const [key, value] of first.rows) {
      const there = other.rows.get(key)
      if (there !== value) throw new Violation(`${key}: ${first.name} holds ${value}, ${other.name} holds ${there}`)
    }
    for (const key of other.rows.keys()) {
      if (!first.rows.has(key)) throw new Violation(`${key}: only ${other.name} holds it`)
    }
  }
}

/** I1, I6, I8, C9, C12: every write stands, or was followed by one that had seen it, or is kept as a conflict; nothing returns. */
export function checkNothingLost(ledger: Ledger, { name, view }: QuietCell): void {
  for (const births of ledger.births.values()) {
    const [one] = births.values()
    if (one === undefined) continue
    if (one.slot === 0n) checkNullSlot(name, view, [...births.values()])
    else checkVersion(name, view, [...births.values()])
  }
}

function checkNullSlot(cell: string, view: View, births: readonly Birth[]): void {
  const newest = births.reduce((most, each) => (each.stamp > most.stamp ? each : most))
  const { bucket, key } = newest
  const stands = standing(view, bucket, key)
  if (stands === undefined) {
    if (newest.kind !== 'tombstone') throw new Violation(`${cell}: ${key} at ${newest.stamp} is lost`)
  } else if (stands.stamp !== newest.stamp) {
    throw new Violation(`${cell}: ${key} stands at ${stands.stamp}, but the last was ${newest.kind} ${newest.stamp}`)
  }
  const replaced = new Set(births.map((each) => each.replaced))
  for (const birth of births) {
    if (birth === newest || birth.kind !== 'object' || replaced.has(birth.stamp)) continue
    if (!isKept(view, birth)) throw new Violation(`${cell}: ${key} at ${birth.stamp} lost, and nobody keeps it`)
  }
}

const isKept = (view: View, { bucket, key, stamp }: Birth): boolean =>
  view.get(keys.conflict(bucket, key, stamp)) !== undefined

function checkVersion(cell: string, view: View, births: readonly Birth[]): void {
  const removed = births.find(({ kind }) => kind === 'tombstone')
  const written = births.find(({ kind }) => kind !== 'tombstone')
  if (written === undefined) return
  const row = view.get(keys.version(written.bucket, written.key, written.slot))
  if (removed === undefined && row === undefined) {
    throw new Violation(`${cell}: version ${written.slot} of ${written.key} is lost`)
  }
  if (removed !== undefined && row !== undefined) {
    throw new Violation(`${cell}: version ${written.slot} of ${written.key} was removed, and is back`)
  }
}

interface Use {
  readonly blob: string
  readonly name: string
}

function useOf(content: Content, bucket: number, key: string, slot: Stamp): Use | undefined {
  const blob = blobOf(content)
  return blob === undefined ? undefined : { blob, name: `${blob} ${bucket} ${key} ${slot}` }
}

/** C18, C21: every version that has a blob has its reference and the blob's record, and nothing else has. */
export function checkReferences({ name, view }: QuietCell): void {
  const wanted = new Map<string, string>()
  for (const space of ['current', 'version'] as const) {
    const all = under(space, [])
    for (const { key, value } of view.range(all.from, all.to, everything, false)) {
      const version = decodeVersion(value)
      if (version.kind !== 'object') continue
      const reader = new TupleReader(key, 1)
      const slot = version.isNull ? 0n : version.stamp
      const use = useOf(version.content, reader.number(), reader.text(), slot)
      if (use !== undefined) wanted.set(use.name, use.blob)
    }
  }
  const references = under('reference', [])
  for (const { key } of view.range(references.from, references.to, everything, false)) {
    const reader = new TupleReader(key, 1)
    const blob = Buffer.from(reader.bytes()).toString('hex')
    const reference = `${blob} ${reader.number()} ${reader.text()} ${reader.integer()}`
    if (!wanted.delete(reference) && !isOfConflict(view, reference)) {
      throw new Violation(`${name}: a reference that no version has: ${reference}`)
    }
    if (view.get(keys.blob(blob)) === undefined)
      throw new Violation(`${name}: ${reference} without a record of its blob`)
  }
  for (const use of wanted.keys()) throw new Violation(`${name}: a version without its reference: ${use}`)
}

/** I7, C19, C21: what a version refers to is held by some region, and what nobody refers to is held by none. */
export function checkCopies(cells: readonly QuietCell[]): void {
  const held = new Set<string>()
  for (const { name, view } of cells) {
    for (const { blob, record } of blobsOf(view)) {
      if (record.kind === 'bytes' && copyIn(record, name) !== undefined) held.add(blob)
    }
  }
  const named = new Set<string>()
  for (const { name, view } of cells) {
    const references = under('reference', [])
    for (const { key } of view.range(references.from, references.to, everything, false)) {
      const blob = Buffer.from(new TupleReader(key, 1).bytes()).toString('hex')
      named.add(blob)
      if (!held.has(blob)) throw new Violation(`${name}: nobody holds ${blob} any more`)
    }
  }
  for (const { name, view } of cells) {
    for (const { blob } of blobsOf(view)) {
      if (!named.has(blob)) throw new Violation(`${name}: nobody refers to ${blob}, and it is still kept`)
    }
  }
}

function blobsOf(view: View) {
  const all = under('blob', [])
  const rows = view.range(all.from, all.to, everything, false)
  return rows.map(({ key, value }) => ({ blob: blobOfRow(key), record: decodeBlob(value) }))
}

/** Conflict records keep their blobs under references of their own. */
function isOfConflict(view: View, reference: string): boolean {
  const [, bucket, ...rest] = reference.split(' ')
  const stamp = BigInt(rest.pop() ?? 0)
  return view.get(keys.conflict(Number(bucket), rest.join(' '), stamp)) !== undefined
}

/** What a subspace holds, for those who want to see that something was cleaned up. */
export function countRows(view: View, space: keyof typeof subspace): number {
  const all = under(space, [])
  return view.range(all.from, all.to, everything, false).length
}
