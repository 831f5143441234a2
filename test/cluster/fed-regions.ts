import assert from 'node:assert/strict'
import { afterEach } from 'node:test'
import { Followers } from '#replicator/follow.ts'
import { JobWorker } from '#replicator/job-worker.ts'
import { fetchBlobJob } from '#replicator/jobs/fetch-blob.ts'
import { ProcessQueue } from '#replicator/process-queue.ts'
import { Relay } from '#replicator/relay.ts'
import { BucketCells } from '#src/cluster/bucket-cells.ts'
import { Demand } from '#src/cluster/demand.ts'
import { Departing, passedMethod } from '#src/cluster/departure.ts'
import { feedMethods } from '#src/cluster/feed-methods.ts'
import { feedPositions } from '#src/cluster/feed-positions.ts'
import { openRegionBytes } from '#src/cluster/region-bytes.ts'
import type { Method } from '#src/cluster/transport.ts'
import { beginSharing } from '#src/metadata/blob-records.ts'
import { governNamespace } from '#src/metadata/namespace-feed.ts'
import type { Restriction } from '#src/model/blob.ts'
import type { Member, Membership } from '#src/model/region.ts'
import type { Foundation } from '#src/service/foundation.ts'
import { CellObjects } from '#src/service/objects.ts'
import { CellUploads } from '#src/service/uploads.ts'
import { Counters } from '#src/telemetry/counters.ts'
import { realWorld } from '#src/world.ts'
import { acl, attributes, body, bytesOf, openCell, owner } from '../service/cell.ts'
import { Peers } from '../support/peers.ts'

export const guard = () => {}
/** Everywhere, and in one region only. */
export const [bucket, single] = ['bucket', 'single']

const codes = ['fra', 'iad', 'syd']

export type FedRegions = Awaited<ReturnType<typeof openFedRegions>>

const opened: FedRegions[] = []
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close()
})

/** As `openFedRegions`; they are closed after the test. */
export async function three(durabilityRegions = 1) {
  const all = await openFedRegions(durabilityRegions)
  opened.push(all)
  const [fra, iad, syd] = all.regions
  assert.ok(fra !== undefined && iad !== undefined && syd !== undefined)
  return { ...all, fra, iad, syd }
}

/** Regions in one process that follow each other's feeds and fetch each other's bytes. `fra` is cell 1, `iad` 2, `syd` 3. */
export async function openFedRegions(durabilityRegions: number) {
  const peers = new Peers()
  const members = codes.map((region, index): Member => {
    const cell = index + 1
    return { region, cell, geography: '', incarnation: `incarnation-${cell}`, peer: '', state: 'active' }
  })
  const cluster = { membership: { epoch: 1, root: 1, members } as Membership }
  const regions = await Promise.all(members.map((member) => openRegion(member, peers, cluster, durabilityRegions)))
  return {
    peers,
    regions,
    /** What all know at once. */
    cluster,
    async close() {
      for (const region of regions) await region.stop()
      for (const { bytes, cell } of regions) {
        await bytes.copies.settled()
        await cell.close()
      }
    },
  }
}

interface Known {
  membership: Membership
}

async function openRegion(member: Member, peers: Peers, cluster: Known, durabilityRegions: number) {
  const { region, incarnation } = member
  const cell = await openCell(realWorld, undefined, { region, cell: member.cell, hasPeers: true })
  const transport = peers.transport(member)
  const positions = feedPositions(incarnation, () => cluster.membership)
  const errors: unknown[] = []
  const counters = new Counters()
  const cells = new BucketCells(cell.foundation.namespace, () => cluster.membership)
  const demand = new Demand({
    foundation: cell.foundation,
    cells,
    promoteReads: 3,
    failed: (error) => errors.push(error),
  })
  const bytes = openRegionBytes({
    wanted: demand.wanted,
    foundation: cell.foundation,
    transport,
    membership: () => cluster.membership,
    nearest: (all) => all,
    isReachable: (other) => peers.faults.get(other)?.isDown !== true,
    positions,
    cellsOfBucket: (from, id) => cells.standing(from, id),
    durabilityRegions,
    counters,
    failed: (error) => errors.push(error),
  })
  const foundation: Foundation = {
    ...cell.foundation,
    store: governNamespace(cell.store, member.cell),
    remote: bytes.remote,
    durability: bytes.durability,
  }
  const departing = new Departing({
    foundation,
    transport,
    members: {
      self: member,
      get membership() {
        return cluster.membership
      },
      get isRemoved() {
        return cluster.membership.members.every((each) => each.cell !== member.cell || each.state === 'removed')
      },
    },
    positions,
    succession: bytes.succession,
    freeing: bytes.freeing,
    uploadPatience: 1_000_000,
  })
  /** What the root was told. */
  const left: number[] = []
  const told: readonly Method[] = ['member-leaving', 'member-left'].map((name) => ({
    name,
    async answer(_, caller) {
      if (name === 'member-left') left.push(caller.cell)
      return new Uint8Array(0)
    },
  }))
  peers.connect(member.cell, [
    ...feedMethods({ foundation, cells, incarnation, world: realWorld }),
    ...bytes.methods,
    passedMethod(foundation, positions),
    ...told,
  ])
  await cell.store.transact((transaction) => beginSharing(transaction, member))
  await cell.buckets.create({ name: bucket, owner, acl, location: '', hasObjectLock: false })
  await cell.buckets.create({ name: single, owner, acl, location: 'fra', hasObjectLock: false })
  const followers = new Followers({
    target: { foundation, conflictMilliseconds: 1_000_000, arrived: demand.arrived },
    transport,
    peers: () =>
      cluster.membership.members.filter(({ cell: other, state }) => other !== member.cell && state !== 'removed'),
    failed: () => {},
  })
  const stopping = new AbortController()
  const queue = new ProcessQueue(realWorld)
  const { store } = foundation
  const failed = (error: unknown) => errors.push(error)
  const kind = fetchBlobJob(bytes.copies)
  const relay = new Relay({ store, world: realWorld, queue, urgencyOf: () => kind.urgency, failed })
  const pace = { concurrency: 2, perSecond: 1_000 }
  const kinds = new Map([[kind.name, kind]])
  const worker = new JobWorker({
    store,
    world: realWorld,
    queue,
    kinds,
    pace,
    report: (_, error) => errors.push(error),
    failed,
  })
  const { signal } = stopping
  const running = Promise.all([followers.run(signal), relay.run(signal), worker.run(signal)])
  return {
    member,
    cell,
    bytes,
    counters,
    errors,
    foundation,
    departing,
    left,
    objects: new CellObjects(foundation),
    uploads: new CellUploads(foundation),
    async stop() {
      stopping.abort()
      await running
      await demand.settled()
    },
  }
}

export type FedRegion = Awaited<ReturnType<typeof openRegion>>

export const put = (
  { objects }: FedRegion,
  key: string,
  bytes: Uint8Array,
  name = bucket,
  restricted: Restricted = {},
) =>
  objects.put({
    name: { bucket: name, key },
    attributes,
    body: body(bytes),
    digests: {},
    conditions: {},
    guard,
    ...restricted,
  })

interface Restricted {
  readonly restriction?: Restriction
}

/** What is to be kept by these regions only, of `bucket`. */
export const only = (...regions: readonly string[]): Restricted => ({ restriction: { bucket: 1, regions } })

export async function get({ objects }: FedRegion, key: string): Promise<Buffer> {
  const read = await objects.get({ name: { bucket, key }, guard, conditions: {} })
  return await bytesOf(read.bytes)
}

export const remove = ({ objects }: FedRegion, key: string) =>
  objects.delete({ name: { bucket, key }, guard, conditions: {}, bypassGovernance: false, caller: owner })

export const copy = ({ objects }: FedRegion, from: string, to: string, restricted: Restricted = {}) =>
  objects.copy({
    ...restricted,
    source: { name: { bucket, key: from }, conditions: {}, guard },
    name: { bucket, key: to },
    attributes: () => attributes,
    conditions: {},
    guard,
  })

/** An upload: its parts one after the other, and its end. */
export async function begin({ uploads }: FedRegion, key: string, restricted: Restricted = {}) {
  const name = { bucket, key }
  const { id: uploadId } = await uploads.create({ name, attributes, initiator: owner, ...restricted })
  const parts: { number: number; etag: string }[] = []
  return {
    async send(bytes: Uint8Array): Promise<void> {
      const number = parts.length + 1
      const { etag } = await uploads.putPart({ name, uploadId, number, digests: {}, body: body(bytes) })
      parts.push({ number, etag })
    },
    complete: () => uploads.complete({ name, uploadId, parts, conditions: {}, guard }),
  }
}

/** An object in parts of these bytes. */
export async function inParts(
  region: FedRegion,
  key: string,
  bodies: readonly Uint8Array[],
  restricted: Restricted = {},
): Promise<void> {
  const upload = await begin(region, key, restricted)
  for (const bytes of bodies) await upload.send(bytes)
  await upload.complete()
}

export async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt++) {
    if (await holds()) return
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  assert.fail('not in time')
}
