import { keys, under } from '#src/metadata/keyspace.ts'
import { type KeyState, type Row, readState } from '#src/metadata/object-records.ts'
import { decodeVersion } from '#src/metadata/version-codec.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { Candidate } from '#src/model/lifecycle.ts'
import type { Stamp } from '#src/model/stamp.ts'
import type { Version } from '#src/model/version.ts'
import type { Snapshot } from '#src/store/store.ts'
import { afterKey } from '#src/store/tuple.ts'
import { ListingScan } from './listing-scan.ts'
import { VersionWalk } from './version-walk.ts'

export interface Seen {
  readonly key: string
  readonly version: Version
}

/** Where a page of versions begins: at a key, or behind a version that was seen. */
export type From = { readonly key: string } | { readonly behind: Seen }

/** Versions under a prefix: keys in order, of each the newest first. */
export async function readVersions(
  snapshot: Snapshot,
  bucket: number,
  prefix: string,
  from: From,
  limit: number,
): Promise<readonly Seen[]> {
  const walk = startWalk(snapshot, bucket, prefix, from, limit)
  const seen: Seen[] = []
  while (seen.length < limit) {
    const step = await walk.step()
    if (step === undefined) break
    seen.push({ key: step.key, version: decodeVersion(step.record) })
    walk.goOn(undefined)
  }
  return seen
}

function startWalk(snapshot: Snapshot, bucket: number, prefix: string, from: From, limit: number): VersionWalk {
  const options = { bucket, scope: { prefix, delimiter: '' }, most: limit + 1 }
  const current = { ...options, space: 'current' } as const
  const version = { ...options, space: 'version' } as const
  if ('key' in from) {
    const start = { key: Buffer.from(from.key.startsWith(prefix) ? from.key : prefix) }
    return new VersionWalk(
      new ListingScan(snapshot, current, start),
      new ListingScan(snapshot, version, start),
      undefined,
    )
  }
  const { key, version: last } = from.behind
  // What lies under `current` alone is the newest of its key, so it was seen.
  return new VersionWalk(
    new ListingScan(snapshot, current, { key: Buffer.from(`${key}\0`) }),
    new ListingScan(snapshot, version, { row: afterKey(keys.version(bucket, key, last.stamp)) }),
    key,
  )
}

/** Tells of each version what those above and below it make of it; shown all versions of a key, the newest first. */
export class KeyHistory {
  #above: Seen | undefined
  #newer = 0
  /** The newest version is a marker, and nobody knows yet whether there is anything below it. */
  #pending: Seen | undefined

  offer(seen: Seen): readonly Candidate[] {
    const above = this.#above
    this.#above = seen
    if (above?.key !== seen.key) {
      const before = this.#soleMarker()
      this.#newer = 0
      if (seen.version.kind === 'marker') {
        this.#pending = seen
        return before
      }
      return [...before, { ...seen, place: { kind: 'current', isSole: false } }]
    }
    this.#pending = undefined
    const newer = this.#newer
    if (seen.version.kind === 'object') this.#newer++
    return [{ ...seen, place: { kind: 'noncurrent', since: above.version.modified, newer } }]
  }

  end(): readonly Candidate[] {
    this.#above = undefined
    return this.#soleMarker()
  }

  #soleMarker(): readonly Candidate[] {
    const sole = this.#pending
    this.#pending = undefined
    return sole === undefined ? [] : [{ ...sole, place: { kind: 'current', isSole: true } }]
  }
}

/** A candidate as it stands now, with what a change of it needs. */
export interface Standing {
  readonly candidate: Candidate
  readonly row: Row
  readonly state: KeyState
}

/** `newerMost`: so many noncurrent objects above it are worth counting. */
export async function readStanding(
  from: Snapshot,
  bucket: Bucket,
  { key, stamp }: { readonly key: string; readonly stamp: Stamp },
  newerMost: number,
): Promise<Standing | undefined> {
  const state = await readState(from, { bucket: bucket.id, key }, bucket.versioning !== 'off')
  const latest = state.current ?? state.newest
  if (latest === undefined) return undefined
  const all = under('version', [bucket.id, key])
  if (latest.version.stamp === stamp) {
    const { version } = latest
    const isSole = version.kind === 'marker' && (await from.range(all.from, all.to, { limit: 2 })).length === 1
    return { candidate: { key, version, place: { kind: 'current', isSole } }, row: latest, state }
  }
  const at = keys.version(bucket.id, key, stamp)
  const bytes = await from.get(at)
  if (bytes === undefined) return undefined
  // Markers between the objects make the count too low, and keep what else might go; there are seldom that many.
  const rows = await from.range(all.from, at, { limit: 2 * newerMost + 2, reverse: true })
  const above = rows.map(({ value }) => decodeVersion(value))
  const newer = above.filter((each) => each.kind === 'object' && each.stamp !== latest.version.stamp).length
  const since = (above[0] ?? latest.version).modified
  const version = decodeVersion(bytes)
  return {
    candidate: { key, version, place: { kind: 'noncurrent', since, newer } },
    row: { version, bytes },
    state,
  }
}
