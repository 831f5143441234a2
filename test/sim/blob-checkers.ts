import { decodeBlob } from '#src/metadata/blob-codec.ts'
import { blobOfRow, copyIn, decodePage } from '#src/metadata/blob-records.ts'
import { RecordReader } from '#src/metadata/codec.ts'
import { conflictOfRow } from '#src/metadata/conflict-records.ts'
import { decodeJson } from '#src/metadata/json-rows.ts'
import { type KeyRange, keys, under } from '#src/metadata/keyspace.ts'
import { decodePart } from '#src/metadata/part-codec.ts'
import { decodeVersion } from '#src/metadata/version-codec.ts'
import type { Stamp } from '#src/model/stamp.ts'
import { blobOf, type Content } from '#src/model/version.ts'
import type { View } from '#src/store/overlay.ts'
import type { Entry } from '#src/store/store.ts'
import { TupleReader } from '#src/store/tuple.ts'
import { heldBy } from './bereavement.ts'
import { Violation } from './births.ts'
import type { QuietCell } from './quiet-cell.ts'
import type { Whereabouts } from './whereabouts.ts'

const everything = Number.POSITIVE_INFINITY

interface Use {
  readonly blob: string
  readonly name: string
}

function useOf(content: Content, bucket: number, key: string, slot: Stamp): Use | undefined {
  const blob = blobOf(content)
  return blob === undefined ? undefined : { blob, name: `${blob} ${bucket} ${key} ${slot}` }
}

/** C18, C21: every version, or conflict, that has a blob has its reference and the blob's record, and nothing else has. */
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
  const conflicts = under('conflict', [])
  for (const row of view.range(conflicts.from, conflicts.to, everything, false)) {
    const { bucket, key, conflict } = conflictOfRow(row)
    const { content, stamp } = conflict.version
    const use = conflict.isSettled ? undefined : useOf(content, bucket, key, stamp)
    if (use !== undefined) wanted.set(use.name, use.blob)
  }
  const references = under('reference', [])
  for (const { key } of view.range(references.from, references.to, everything, false)) {
    const reader = new TupleReader(key, 1)
    const blob = Buffer.from(reader.bytes()).toString('hex')
    const reference = `${blob} ${reader.number()} ${reader.text()} ${reader.integer()}`
    if (!wanted.delete(reference)) {
      throw new Violation(`${name}: a reference that no version has: ${reference}`)
    }
    if (view.get(keys.blob(blob)) === undefined)
      throw new Violation(`${name}: ${reference} without a record of its blob`)
  }
  for (const use of wanted.keys()) throw new Violation(`${name}: a version without its reference: ${use}`)
}

/**
 * I7, C19, C21: what a version refers to is whole in some region, and what nobody refers to is held by none. K2: of what went with a
 * region, and of nothing else, it is said that it is lost.
 */
export function checkCopies(cells: readonly QuietCell[], wentWithRegion: ReadonlySet<string>): void {
  const held = heldIn(cells)
  const said = new Set(cells.flatMap(({ view }) => lostIn(view)))
  const named = new Set<string>()
  for (const { name, view } of cells) {
    for (const blob of namedIn(view)) {
      named.add(blob)
      const row = view.get(keys.blob(blob))
      if (row === undefined) throw new Violation(`${name}: ${blob} is referred to, and has no record`)
      const isManifest = decodeBlob(row).kind === 'manifest'
      if (isManifest) continue
      if (!held.has(blob) && !wentWithRegion.has(blob)) throw new Violation(`${name}: nobody holds ${blob} any more`)
      if (held.has(blob) === said.has(blob)) {
        throw new Violation(`${name}: ${blob} is ${held.has(blob) ? 'held, and' : 'lost, and not'} said to be lost`)
      }
    }
  }
  for (const { name, view } of cells) {
    for (const { blob } of blobsOf(view)) {
      if (!named.has(blob)) throw new Violation(`${name}: nobody refers to ${blob}, and it is still kept`)
    }
  }
}

/** Blobs of which some region has a copy that can be read. */
export const heldIn = (cells: readonly QuietCell[]): ReadonlySet<string> =>
  new Set(cells.flatMap((cell) => [...heldBy(cell)]))

/** Those of which a cell says that they are lost, and that it still refers to. */
function lostIn(view: View): readonly string[] {
  return rowsOf(view, under('lostBlob', [])).flatMap(({ key }) => {
    const blob = blobOfRow(key)
    const row = view.get(keys.blob(blob))
    const record = row === undefined ? undefined : decodeBlob(row)
    const isSaid = record?.kind === 'bytes' && record.isUnreferenced === undefined && record.holders.length === 0
    return isSaid ? [blob] : []
  })
}

/** C20: blobs are in as many regions as their bucket asks for, or has, or as they may be in; but for those that are lost. `needed`: by bucket. */
export function checkDurable(
  cells: readonly QuietCell[],
  needed: ReadonlyMap<number, number>,
  lost: ReadonlySet<string>,
  whereabouts: Pick<Whereabouts, 'now'>,
): void {
  for (const { name, view } of cells) {
    for (const { bucket, blob } of usesIn(view)) {
      if (lost.has(blob)) continue
      const count = cells.filter(({ name: region, view: there }) => isCopyIn(there, blob, region)).length
      const having = cells.filter(({ here }) => here.has(bucket)).length
      const least = Math.min(needed.get(bucket) ?? 1, placesFor(view, blob, whereabouts) ?? having, having)
      if (count < least)
        throw new Violation(`${name}: ${blob} of bucket ${bucket} is in ${count} regions, not ${least}`)
    }
  }
}

/** C17: what a version says of where its bytes are to be, its blobs say; and they never lie beside its record. */
function checkRestrictions({ name, view }: QuietCell): void {
  for (const space of ['current', 'version'] as const) {
    for (const { value } of rowsOf(view, under(space, []))) {
      const version = decodeVersion(value)
      if (version.kind !== 'object') continue
      const regions = version.regions?.join()
      const { content, size, stamp } = version
      if (content.kind === 'inline' && regions !== undefined && size > 0)
        throw new Violation(`${name}: ${stamp} is to be in ${regions}, and lies beside its record`)
      for (const blob of blobsIn(view, content)) {
        const row = view.get(keys.blob(blob))
        const record = row === undefined ? undefined : decodeBlob(row)
        const told = record?.kind === 'bytes' ? record.restriction?.regions.join() : undefined
        if (told !== regions) throw new Violation(`${name}: ${stamp} is to be in ${regions}, and its blob in ${told}`)
      }
    }
  }
}

/** In how many regions a blob may be; undefined: in all. */
function placesFor(view: View, blob: string, whereabouts: Pick<Whereabouts, 'now'>): number | undefined {
  const row = view.get(keys.blob(blob))
  const record = row === undefined ? undefined : decodeBlob(row)
  if (record?.kind !== 'bytes' || record.restriction === undefined) return undefined
  return whereabouts.now(record.restriction)?.length
}

function isCopyIn(view: View, blob: string, region: string): boolean {
  const row = view.get(keys.blob(blob))
  const record = row === undefined ? undefined : decodeBlob(row)
  return record?.kind === 'bytes' && copyIn(record, region) !== undefined
}

/** Blobs, parts of objects too, by bucket. */
function* usesIn(view: View): Generator<{ readonly bucket: number; readonly place: string; readonly blob: string }> {
  for (const { key } of rowsOf(view, under('reference', []))) {
    const reader = new TupleReader(key, 1)
    const blob = Buffer.from(reader.bytes()).toString('hex')
    const bucket = reader.number()
    const place = `${bucket} ${reader.text()} ${reader.integer()}`
    const parts = partsOf(view, blob)
    for (const each of parts.length === 0 ? [blob] : parts) yield { bucket, place, blob: each }
  }
}

/** None: it is no manifest. */
const partsOf = (view: View, blob: string): readonly string[] =>
  rowsOf(view, under('manifest', [Buffer.from(blob, 'hex')])).flatMap(({ value }) =>
    decodePage(value).map((part) => part.blob),
  )

/** Which versions have bytes in any of some blobs: bucket, key and slot. */
export function placesOf(view: View, blobs: ReadonlySet<string>): ReadonlySet<string> {
  const found = [...usesIn(view)].filter(({ blob }) => blobs.has(blob)).map(({ place }) => place)
  return new Set(found)
}

function blobsIn(view: View, content: Content): readonly string[] {
  if (content.kind === 'blob') return [content.blob]
  if (content.kind !== 'manifest') return []
  return partsOf(view, content.blob)
}

/** C17: what is to be in some regions is held by each of them, or still to be fetched there, and held by no other. */
export function checkPlaces(
  cells: readonly QuietCell[],
  lost: ReadonlySet<string>,
  whereabouts: Pick<Whereabouts, 'of'>,
): void {
  for (const cell of cells) checkRestrictions(cell)
  const named = new Set(cells.flatMap(({ view }) => [...namedByVersions(view)]))
  for (const { name, view } of cells) {
    const asked = new Set(rowsOf(view, under('job', ['region'])).map(blobOfJob))
    for (const { blob, record } of blobsOf(view)) {
      if (record.kind !== 'bytes' || record.restriction === undefined || !named.has(blob)) continue
      if (lost.has(blob)) continue
      const wanted = whereabouts.of(record.restriction)
      const isHere = copyIn(record, name) !== undefined
      if (wanted === undefined || wanted.includes(name) === isHere) continue
      if (!isHere && asked.has(blob)) continue
      const isHeld = wanted.includes(name) ? 'does not hold' : 'holds'
      throw new Violation(`${name}: ${isHeld} ${blob}, which is to be in ${wanted.join(', ')}`)
    }
  }
}

/** What versions refer to, the parts of what they refer to, and parts of uploads that are under way. */
function* namedIn(view: View): Generator<string> {
  yield* namedByVersions(view)
  for (const { value } of rowsOf(view, under('part', []))) yield decodePart(new RecordReader(value, 1)).blob
}

function* namedByVersions(view: View): Generator<string> {
  for (const { key } of rowsOf(view, under('reference', []))) {
    const blob = Buffer.from(new TupleReader(key, 1).bytes()).toString('hex')
    yield blob
    yield* partsOf(view, blob)
  }
}

/** A job of the outbox asks for one blob. */
const blobOfJob = ({ value }: Entry): string | undefined =>
  decodeJson<{ readonly payload: { readonly blob?: string } }>(1, value).payload.blob

const rowsOf = (view: View, { from, to }: KeyRange): Entry[] => view.range(from, to, everything, false)

function blobsOf(view: View) {
  return rowsOf(view, under('blob', [])).map(({ key, value }) => ({ blob: blobOfRow(key), record: decodeBlob(value) }))
}
