import { realFiles } from '#src/blobs/files.ts'
import { beingEmptied, type VolumeEvent } from '#src/blobs/volume.ts'
import type { VolumeCache } from '#src/blobs/volume-cache.ts'
import type { VolumeMaintenance, VolumeState } from '#src/blobs/volume-maintenance.ts'
import { within } from '#src/cluster/patience.ts'
import type { Region } from '#src/cluster/region.ts'
import { type Backlog, readBacklog, readGivenUp } from '#src/metadata/backlog.ts'
import type { Foundation } from '#src/service/foundation.ts'
import type { ScrubReport } from '#src/service/scrubber.ts'
import { listVolumes, type VolumeSummary } from '#src/service/volume-list.ts'
import { observedStore } from '#src/store/observed-store.ts'
import type { Store } from '#src/store/store.ts'
import { catalogue } from '#src/telemetry/catalogue.ts'
import type { Counters } from '#src/telemetry/counters.ts'
import type { Definition, Metrics, Sample } from '#src/telemetry/metrics.ts'
import type { World } from '#src/world.ts'

/** Volumes are walked over segment by segment: not for each who asks, in milliseconds. */
const volumesMs = 60_000
/** Counting what waits reads rows: not for each who asks, in milliseconds. */
const backlogMs = 5_000
/** How long the metadata may take to answer before a process counts as not ready, in milliseconds. */
const patienceMs = 2_000

const one = (value: number): readonly Sample[] => [{ labels: [], value }]

/** What was found out within so many milliseconds is told again. */
function remembered<T>(world: World, milliseconds: number, find: () => Promise<T>): () => Promise<T> {
  let at = Number.NEGATIVE_INFINITY
  let known: Promise<T> | undefined
  return () => {
    if (known === undefined || world.monotonic() - at > milliseconds) {
      at = world.monotonic()
      known = find()
      known.catch(() => {
        known = undefined
      })
    }
    return known
  }
}

/** The same store, with its transactions counted. */
export function meteredStore(store: Store, metrics: Metrics, driver: string, world: World): Store {
  const all = metrics.counter(catalogue.transactions)
  const [committed, failed] = [all.of(driver, 'committed'), all.of(driver, 'failed')]
  const retries = metrics.counter(catalogue.transactionRetries).of(driver)
  const seconds = metrics.histogram(catalogue.transactionSeconds).of(driver)
  const size = metrics.histogram(catalogue.transactionBytes).of(driver)
  return observedStore(store, world.monotonic, ({ isCommitted, milliseconds, runs, bytes }) => {
    const ended = isCommitted ? committed : failed
    ended.add()
    retries.add(Math.max(0, runs - 1))
    seconds.observe(milliseconds / 1e3)
    size.observe(bytes)
  })
}

/** What volumes are opened with, and what is told of them counted. */
export function volumeMeters(metrics: Metrics): {
  readonly synced: (path: string, milliseconds: number) => void
  readonly told: (event: VolumeEvent) => void
} {
  const seconds = metrics.histogram(catalogue.syncSeconds)
  const events = metrics.counter(catalogue.volumeEvents)
  for (const kind of ['emptying', 'full', 'restored', 'retired', 'roomy', 'unreadable'] as const) events.of(kind)
  return {
    synced: (path, milliseconds) => seconds.of(path).observe(milliseconds / 1e3),
    told: ({ kind }) => events.of(kind).add(),
  }
}

/** What the loops beside requests tell of themselves. */
export interface BackgroundMeters {
  /** Told how far a round is, again and again. */
  readonly scrubbing: () => (round: ScrubReport) => void
  readonly scrubEnded: () => void
  readonly compacted: () => void
}

const none = { rows: 0, blobs: 0, bytes: 0, damaged: 0 } as const

export function backgroundMeters(metrics: Metrics, world: World): BackgroundMeters {
  const blobs = metrics.counter(catalogue.scrubbedBlobs).of()
  const bytes = metrics.counter(catalogue.scrubbedBytes).of()
  const damaged = metrics.counter(catalogue.scrubDamaged).of()
  const ended = metrics.gauge(catalogue.scrubEnded).of()
  const compacted = metrics.counter(catalogue.compacted).of()
  return {
    scrubbing: () => {
      let before: Pick<ScrubReport, 'rows' | 'blobs' | 'bytes' | 'damaged'> = none
      return (round) => {
        // A round that began anew begins at nothing.
        if (round.rows < before.rows) before = none
        blobs.add(round.blobs - before.blobs)
        bytes.add(round.bytes - before.bytes)
        damaged.add(round.damaged - before.damaged)
        before = round
      }
    },
    scrubEnded: () => ended.set(world.now() / 1e3),
    compacted: () => compacted.add(),
  }
}

export interface MeasuredNode {
  readonly foundation: Foundation
  readonly maintenance: VolumeMaintenance
  /** Of the metadata's disk, where it is this machine's. */
  readonly space?: () => Promise<{ readonly free: number; readonly total: number }>
}

const backlogSamples = (backlog: Backlog, least: readonly string[]): readonly Sample[] =>
  [...new Set([...least, ...backlog.keys()])].map((kind) => ({ labels: [kind], value: backlog.get(kind) ?? 0 }))

/** What belongs to a node, and is told by one of its processes. */
export function measureNode(metrics: Metrics, { foundation, maintenance, space }: MeasuredNode): void {
  const { store, world, hasPeers } = foundation
  measureVolumes(metrics, foundation, maintenance)
  if (space !== undefined) {
    metrics.collect(catalogue.metadataRoom, async () => one((await space()).free))
    metrics.collect(catalogue.metadataSize, async () => one((await space()).total))
  }
  const waiting = remembered(world, backlogMs, () => store.snapshot(readBacklog))
  const givenUp = remembered(world, backlogMs, () => store.snapshot(readGivenUp))
  const jobs = hasPeers === true ? ['fetch blob'] : []
  metrics.collect(catalogue.jobsWaiting, async () => backlogSamples(await waiting(), jobs))
  metrics.collect(catalogue.deadLetters, async () => backlogSamples(await givenUp(), jobs))
}

function measureVolumes(metrics: Metrics, foundation: Foundation, maintenance: VolumeMaintenance): void {
  const { world } = foundation
  const slow = remembered(world, volumesMs, () => listVolumes(foundation, maintenance))
  const ofList = (definition: Definition, value: (volume: VolumeSummary) => number): void =>
    metrics.collect(definition, async () =>
      (await slow()).map((volume) => ({ labels: [volume.path], value: value(volume) })),
    )
  ofList(catalogue.volumeBytes, ({ bytes }) => bytes)
  ofList(catalogue.volumeDead, ({ deadBytes }) => deadBytes)
  ofList(catalogue.volumeSegments, ({ segments }) => segments)
  const ofState = (definition: Definition, value: (state: VolumeState) => number): void =>
    metrics.collect(definition, async () =>
      (await maintenance.volumes()).map((state) => ({ labels: [state.path], value: value(state) })),
    )
  ofState(catalogue.volumeRoom, ({ room }) => room)
  ofState(catalogue.volumeFailed, ({ retired = beingEmptied }) => Number(retired !== beingEmptied))
  ofState(catalogue.volumeEmptied, ({ retired }) => Number(retired === beingEmptied))
  const ofDisk = (definition: Definition, value: (space: { free: number; total: number }) => number): void =>
    metrics.collect(definition, async () => {
      const states = await maintenance.volumes()
      const spaces = await Promise.all(states.map(({ path }) => realFiles.space(path).catch(() => undefined)))
      return states.flatMap(({ path }, index) => {
        const found = spaces[index]
        return found === undefined ? [] : [{ labels: [path], value: value(found) }]
      })
    })
  ofDisk(catalogue.volumeFree, ({ free }) => free)
  ofDisk(catalogue.volumeSize, ({ total }) => total)
}

export interface MeasuredPeers {
  readonly region: Region
  readonly counters: Counters
  readonly fetched: Counters
  readonly cache: VolumeCache
}

/** What every process of a region tells of the others. */
export function measurePeers(metrics: Metrics, { region, counters, fetched, cache }: MeasuredPeers): void {
  const { members, health } = region
  const counted = (definition: Definition, name: string): void =>
    metrics.collect(definition, () => one(counters.value(name)))
  counted(catalogue.cacheHits, 'cache.hits')
  counted(catalogue.cacheMisses, 'cache.misses')
  counted(catalogue.remoteFailures, 'blobs.failedSources')
  counted(catalogue.copiesTaken, 'copies.taken')
  counted(catalogue.repairs, 'blobs.repaired')
  metrics.collect(catalogue.remoteBytes, () =>
    members.peers.map(({ region: code }) => ({ labels: [code], value: fetched.value(code) })),
  )
  metrics.collect(catalogue.cacheBytes, () => one(cache.use.bytes))
  metrics.collect(catalogue.cacheBudget, () => one(cache.use.budget))
  metrics.collect(catalogue.cacheEvictions, () => one(cache.use.evicted))
  metrics.collect(catalogue.peerUp, () =>
    members.peers.map(({ region: code, cell }) => ({ labels: [code], value: Number(health.state(cell).isUp) })),
  )
  const ofPeers = (definition: Definition, milliseconds: (cell: number) => number | undefined): void =>
    metrics.collect(definition, () =>
      members.peers.flatMap(({ region: code, cell }) => {
        const value = milliseconds(cell)
        return value === undefined ? [] : [{ labels: [code], value: value / 1e3 }]
      }),
    )
  ofPeers(catalogue.peerSeconds, (cell) => health.state(cell).roundTrip)
  ofPeers(catalogue.peerAhead, (cell) => health.state(cell).ahead)
  metrics.collect(catalogue.isServing, () => one(Number(members.isServing)))
  metrics.collect(catalogue.isStale, () => one(Number(region.isStale())))
}

/** Why this process should get no requests; empty: it may. */
export async function problemsOf(
  { store, world }: Pick<Foundation, 'store' | 'world'>,
  maintenance: VolumeMaintenance,
  region: Region | undefined,
): Promise<readonly string[]> {
  const problems: string[] = []
  const look = () => store.snapshot((snapshot) => snapshot.get(Uint8Array.of(0x7f)))
  const isThere = await within(world, patienceMs, look).then(
    () => true,
    () => false,
  )
  if (!isThere) problems.push('the metadata does not answer')
  const volumes = await within(world, patienceMs, () => maintenance.volumes()).catch(() => [])
  // One that is full gives what it holds; one that failed may not.
  if (volumes.every(({ retired }) => retired !== undefined)) problems.push('all volumes failed')
  if (region?.members.isRemoved === true) problems.push('this region was removed from its cluster')
  return problems
}
