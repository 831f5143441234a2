import assert from 'node:assert/strict'
import type { Positions } from '#src/cluster/positions.ts'
import { openRegionBytes } from '#src/cluster/region-bytes.ts'
import { beginSharing, copyIn, newsOf, readBlob, receiveBlob } from '#src/metadata/blob-records.ts'
import { insertVersion, readCurrent, readState, removeVersion } from '#src/metadata/object-records.ts'
import type { Member, Membership } from '#src/model/region.ts'
import type { Foundation } from '#src/service/foundation.ts'
import { CellObjects } from '#src/service/objects.ts'
import { Counters } from '#src/telemetry/counters.ts'
import { realWorld, type World } from '#src/world.ts'
import { acl, attributes, body, bytesOf, openCell, owner } from '../service/cell.ts'
import { Peers } from '../support/peers.ts'

export const bucket = 'bucket'
export const guard = () => {}

const codes = ['fra', 'iad', 'syd']

const memberOf = (region: string, cell: number): Member => ({
  region,
  cell,
  geography: '',
  incarnation: `${cell}`,
  peer: '',
  state: 'active',
})

interface RegionsOptions {
  readonly count: number
  readonly world?: World
  readonly durabilityRegions?: number
  /** Of the bucket, where it is of its own mind. */
  readonly durability?: number
  /** The cells that the bucket is in, where these are not all. */
  readonly cellsOfBucket?: readonly number[]
  /** Of each region's cache; absent: they have none. */
  readonly cacheBytes?: number
}

/** Which records a cell changed, in order: a record that changes again moves to the end (C14). And how far it followed others. */
export class Feed {
  head = 0
  readonly entries = new Map<string, number>()
  readonly cursors = new Map<number, number>()
  /** Stamps of tombstones that came before what they are about. */
  readonly early = new Map<string, bigint>()

  change(key: string): void {
    this.head += 1
    this.entries.set(key, this.head)
  }
}

const positionsOf = (feed: Feed): Positions => ({
  heads: async () => Buffer.from(String(feed.head)),
  hasReached: async (_, cell, heads) => (feed.cursors.get(cell) ?? 0) >= Number(Buffer.from(heads).toString()),
})

/** Regions with a bucket of the same id, in one process. `fra` is cell 1, `iad` 2, `syd` 3. */
export async function openRegions({ count, ...options }: RegionsOptions) {
  const peers = new Peers()
  const members = codes.slice(0, count).map((code, index) => memberOf(code, index + 1))
  const membership: Membership = { epoch: 1, root: 1, members }
  const views = new Map(members.map(({ cell }) => [cell, membership]))
  const viewOf = (cell: number) => (): Membership => views.get(cell) ?? membership
  const regions = await Promise.all(members.map((member) => openRegion(member, peers, viewOf(member.cell), options)))
  return {
    peers,
    regions,
    membership,
    /** What a cell knows of who is a member. */
    know(cell: number, known: Membership): void {
      views.set(cell, known)
    },
    /** One more, which all that are told of the membership know. */
    async open(member: Member): Promise<Region> {
      const region = await openRegion(member, peers, viewOf(member.cell), options)
      regions.push(region)
      return region
    },
    async close() {
      for (const { bytes, cell } of regions) {
        await bytes.copies.settled()
        await cell.close()
      }
    },
  }
}

async function openRegion(
  member: Member,
  peers: Peers,
  membership: () => Membership,
  {
    world = realWorld,
    durabilityRegions = 1,
    durability,
    cellsOfBucket,
    cacheBytes: budget,
  }: Omit<RegionsOptions, 'count'>,
) {
  const cell = await openCell(world, undefined, member)
  const counters = new Counters()
  const errors: unknown[] = []
  const ageMilliseconds = 86_400_000
  const cache = budget === undefined ? undefined : await cell.blobs.openCache({ budget, ageMilliseconds })
  const feed = new Feed()
  const bytes = openRegionBytes({
    foundation: cell.foundation,
    transport: peers.transport(member),
    membership,
    nearest: (regions) => regions,
    isReachable: (other) => peers.faults.get(other)?.isDown !== true,
    positions: positionsOf(feed),
    durabilityRegions,
    ...(durability !== undefined && {
      durabilityOf: async (from, id) =>
        (await cell.foundation.namespace.bucket(from, bucket))?.id === id ? durability : undefined,
      mostDurable: async () => durability,
    }),
    ...(cellsOfBucket !== undefined && { cellsOfBucket: async () => cellsOfBucket }),
    counters,
    failed: (error) => errors.push(error),
    ...(cache !== undefined && { cache }),
  })
  peers.connect(member.cell, bytes.methods)
  await cell.store.transact((transaction) => beginSharing(transaction, member))
  await cell.buckets.create({ name: bucket, owner, acl, location: '', hasObjectLock: false })
  const foundation: Foundation = { ...cell.foundation, remote: bytes.remote }
  return { member, cell, bytes, cache, feed, counters, errors, foundation, objects: new CellObjects(foundation) }
}

export type Region = Awaited<ReturnType<typeof openRegion>>

export async function put({ objects, feed }: Region, key: string, bytes: Uint8Array): Promise<void> {
  await objects.put({ name: { bucket, key }, attributes, body: body(bytes), digests: {}, conditions: {}, guard })
  feed.change(key)
}

export async function get({ objects }: Region, key: string, from?: number, to?: number): Promise<Buffer> {
  const wanted = from === undefined ? {} : { wanted: { kind: 'range', from, ...(to !== undefined && { to }) } as const }
  const read = await objects.get({ name: { bucket, key }, guard, conditions: {}, ...wanted })
  return await bytesOf(read.bytes)
}

/** Brings the current version of a key from one cell to another, as following its feed does. */
export async function follow(to: Region, from: Region, key: string): Promise<string> {
  const { id } = await to.cell.buckets.get(bucket)
  const place = { bucket: id, key }
  const { version, news } = await from.foundation.store.snapshot(async (snapshot) => {
    const row = await readCurrent(snapshot, place)
    assert.ok(row?.version.content.kind === 'blob')
    const record = await readBlob(snapshot, row.version.content.blob)
    assert.ok(record?.kind === 'bytes')
    return { version: row.version, news: newsOf(record) }
  })
  const { content } = version
  assert.ok(content.kind === 'blob')
  await to.foundation.store.transact(async (transaction) => {
    await receiveBlob(transaction, content.blob, news, to.member)
    await insertVersion(transaction, await readState(transaction, place, false), version)
  })
  return content.blob
}

export async function copy({ objects, feed }: Region, from: string, to: string): Promise<void> {
  const source = { name: { bucket, key: from }, conditions: {}, guard }
  await objects.copy({ source, name: { bucket, key: to }, attributes: () => attributes, conditions: {}, guard })
  feed.change(to)
}

export async function remove({ objects, feed }: Region, key: string): Promise<void> {
  await objects.delete({ name: { bucket, key }, guard, conditions: {}, bypassGovernance: false, caller: owner })
  feed.change(key)
}

/** What a cell says of a key: its version, or the tombstone of it, and what it names. */
async function recordOf({ cell, foundation }: Region, key: string) {
  const { id } = await cell.buckets.get(bucket)
  const place = { bucket: id, key }
  return await foundation.store.snapshot(async (snapshot) => {
    const { current, tombstone } = await readState(snapshot, place, false)
    const content = current?.version.content
    const record = content?.kind === 'blob' ? await readBlob(snapshot, content.blob) : undefined
    return { place, version: current?.version, tombstone, ...(record?.kind === 'bytes' && { news: newsOf(record) }) }
  })
}

type KeyRecord = Awaited<ReturnType<typeof recordOf>>

/** A piece of a cell's feed, on its way: its records are as they were when it was read. */
export interface Page {
  readonly from: number
  readonly to: number
  readonly records: readonly (readonly [key: string, record: KeyRecord])[]
}

export async function readPage(to: Region, from: Region, end: number = from.feed.head): Promise<Page> {
  const cursor = to.feed.cursors.get(from.member.cell) ?? 0
  const entries = [...from.feed.entries].filter(([, position]) => position > cursor && position <= end)
  const ordered = entries.sort((a, b) => a[1] - b[1])
  const records = await Promise.all(ordered.map(async ([key]) => [key, await recordOf(from, key)] as const))
  return { from: cursor, to: end, records }
}

/** Only a page that starts at the cursor is applied (C10). */
export async function applyPage(to: Region, from: Region, page: Page): Promise<void> {
  if ((to.feed.cursors.get(from.member.cell) ?? 0) !== page.from) return
  for (const [key, record] of page.records) if (await apply(to, key, record)) to.feed.change(key)
  to.feed.cursors.set(from.member.cell, page.to)
}

/** Follows another cell's feed to its end, or to where it ended then. */
export async function pull(to: Region, from: Region, end?: number): Promise<void> {
  await applyPage(to, from, await readPage(to, from, end))
}

/** The larger stamp stands. True: that changed something. */
async function apply(to: Region, key: string, { place, version, tombstone, news }: KeyRecord): Promise<boolean> {
  return await to.foundation.store.transact(async (transaction) => {
    const state = await readState(transaction, place, false)
    const early = to.feed.early.get(key) ?? 0n
    if (version !== undefined && version.stamp > state.largest && version.stamp > early) {
      const { content } = version
      assert.ok(content.kind === 'blob' && news !== undefined)
      await receiveBlob(transaction, content.blob, news, to.member)
      await insertVersion(transaction, state, version)
      return true
    }
    if (tombstone === undefined || tombstone.stamp <= state.largest) return false
    if (state.current === undefined) {
      to.feed.early.set(key, tombstone.stamp)
      return false
    }
    await removeVersion(transaction, state, state.current, tombstone.stamp, tombstone.vector)
    return true
  })
}

export async function copyOf({ foundation }: Region, blob: string) {
  const record = await foundation.store.snapshot((snapshot) => readBlob(snapshot, blob))
  return record?.kind === 'bytes' ? copyIn(record, foundation.region) : undefined
}

export type OpenRegions = Awaited<ReturnType<typeof openRegions>>

/** Three of them, closed afterwards. */
export async function withThree(
  work: (all: OpenRegions, fra: Region, iad: Region, syd: Region) => Promise<void>,
  options: Omit<RegionsOptions, 'count'> = {},
): Promise<void> {
  const all = await openRegions({ count: 3, ...options })
  try {
    const [fra, iad, syd] = all.regions
    assert.ok(fra !== undefined && iad !== undefined && syd !== undefined)
    await work(all, fra, iad, syd)
  } finally {
    await all.close()
  }
}
