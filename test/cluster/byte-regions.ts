import assert from 'node:assert/strict'
import type { BlobCache } from '#src/blobs/blob-cache.ts'
import { openRegionBytes } from '#src/cluster/region-bytes.ts'
import { copyIn, newsOf, readBlob, receiveBlob } from '#src/metadata/blob-records.ts'
import { insertVersion, readCurrent, readState } from '#src/metadata/object-records.ts'
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

export interface RegionsOptions {
  readonly count: number
  readonly world?: World
  readonly cache?: (cell: number) => BlobCache | undefined
}

/** Regions with a bucket of the same id, in one process. `fra` is cell 1, `iad` 2, `syd` 3. */
export async function openRegions({ count, world = realWorld, cache = () => undefined }: RegionsOptions) {
  const peers = new Peers()
  const members = codes.slice(0, count).map((code, index) => memberOf(code, index + 1))
  const membership: Membership = { epoch: 1, root: 1, members }
  const regions = await Promise.all(members.map((member) => openRegion(member, peers, membership, world, cache)))
  return {
    peers,
    regions,
    membership,
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
  membership: Membership,
  world: World,
  cacheOf: (cell: number) => BlobCache | undefined,
) {
  const cell = await openCell(world, undefined, member)
  const counters = new Counters()
  const errors: unknown[] = []
  const cache = cacheOf(member.cell)
  const bytes = openRegionBytes({
    foundation: cell.foundation,
    transport: peers.transport(member),
    membership: () => membership,
    nearest: (regions) => regions,
    counters,
    failed: (error) => errors.push(error),
    ...(cache !== undefined && { cache }),
  })
  peers.connect(member.cell, bytes.methods)
  await cell.buckets.create({ name: bucket, owner, acl, location: '', hasObjectLock: false })
  const foundation: Foundation = { ...cell.foundation, remote: bytes.remote }
  return { member, cell, bytes, counters, errors, foundation, objects: new CellObjects(foundation) }
}

export type Region = Awaited<ReturnType<typeof openRegion>>

export const put = ({ objects }: Region, key: string, bytes: Uint8Array) =>
  objects.put({ name: { bucket, key }, attributes, body: body(bytes), digests: {}, conditions: {}, guard })

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
    await receiveBlob(transaction, content.blob, news, to.member.region)
    await insertVersion(transaction, await readState(transaction, place, false), version)
  })
  return content.blob
}

export async function copyOf({ foundation }: Region, blob: string) {
  const record = await foundation.store.snapshot((snapshot) => readBlob(snapshot, blob))
  return record?.kind === 'bytes' ? copyIn(record, foundation.region) : undefined
}
