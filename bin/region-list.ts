import type { Standing } from '#src/cluster/founding.ts'
import { type Departure, readDeparture } from '#src/metadata/departure-records.ts'
import { readSuccession, type SuccessionState } from '#src/metadata/succession-records.ts'
import { type FeedLag, type HealingProgress, readFeedLag, readHealingProgress } from '#src/metadata/watch-records.ts'
import type { Member } from '#src/model/region.ts'
import type { Snapshot, Store } from '#src/store/store.ts'

/** A region, as `regions list` shows it. */
interface RegionRow extends Pick<Member, 'region' | 'cell' | 'state' | 'geography' | 'peer'> {
  readonly isRoot: boolean
  readonly isHere: boolean
  /** How far this region is behind that one. */
  readonly behind?: FeedLag
  /** Of one that leaves: what it still has to do. */
  readonly leaving?: Departure
  /** Of this one: how far it is with what regions left behind that are gone. */
  readonly succession?: SuccessionState
  /** Of this one: how far it has compared what it has with the others. */
  readonly healing?: HealingProgress
}

async function rowOf(from: Snapshot, { self, membership }: Standing, member: Member): Promise<RegionRow> {
  const { region, cell, state, geography, peer } = member
  const isHere = cell === self.cell
  const behind = isHere || state === 'removed' ? undefined : await readFeedLag(from, cell)
  const leaving = state === 'leaving' ? await readDeparture(from, cell) : undefined
  const succession = isHere ? await readSuccession(from) : undefined
  const healing = isHere ? await readHealingProgress(from, cell) : undefined
  return {
    region,
    cell,
    state,
    geography,
    peer,
    isRoot: cell === membership.root,
    isHere,
    ...(behind !== undefined && { behind }),
    ...(leaving !== undefined && { leaving }),
    ...(succession !== undefined && { succession }),
    ...(healing !== undefined && { healing }),
  }
}

function* notesOf({ isRoot, isHere, behind, leaving, succession, healing }: RegionRow): Generator<string> {
  if (isRoot) yield 'root'
  if (isHere) yield 'here'
  if (behind !== undefined) {
    yield `${behind.entries} entries, ${behind.seconds.toFixed(1)} s behind it${behind.isAway ? ', and it does not answer' : ''}`
  }
  if (leaving !== undefined) yield leavingNote(leaving)
  if (succession !== undefined) {
    const { blobs, orphans, wanted, lost } = succession
    yield `of ${blobs} blobs ${orphans} have no keeper, ${wanted} too few copies, ${lost} none`
  }
  if (healing !== undefined) {
    const { done, of, records, ended } = healing
    const end = ended === undefined ? '' : `, ended ${new Date(ended).toISOString()}`
    yield `compared ${done} of ${of}, took over ${records} records${end}`
  }
}

function leavingNote({ blobs, bytes, uploads, deliveries, behind, isFenced }: Departure): string {
  const left = [`${blobs} blobs of ${bytes} bytes`, `${uploads} uploads`, `${deliveries} deliveries`]
  const unheard = behind.length === 0 ? [] : [`${behind.join(',')} to hear the rest`]
  return `left to do: ${[...left, ...unheard].join(', ')}${isFenced ? '; takes no writes any more' : ''}`
}

export async function printRegions(store: Store, standing: Standing, isJson: boolean | undefined): Promise<void> {
  const rows = await store.snapshot((snapshot) =>
    Promise.all(standing.membership.members.map((member) => rowOf(snapshot, standing, member))),
  )
  if (isJson === true) {
    process.stdout.write(`${JSON.stringify(rows, undefined, 2)}\n`)
    return
  }
  for (const row of rows) {
    const { region, cell, state, geography, peer } = row
    process.stdout.write(`${[region, cell, state, geography, peer, [...notesOf(row)].join('; ')].join('\t')}\n`)
  }
}
