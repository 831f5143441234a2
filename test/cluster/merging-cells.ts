import { BucketCells } from '#src/cluster/bucket-cells.ts'
import { applyPage, type FeedSource, type FeedTarget, type Page, readPage } from '#src/cluster/feed-pages.ts'
import { readCursor } from '#src/metadata/cursors.ts'
import { partitions, subspace } from '#src/metadata/keyspace.ts'
import { readReplicated, replicatedSpaces } from '#src/metadata/replicated-rows.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { realWorld, type World } from '#src/world.ts'
import { acl, openCell, owner } from '../service/cell.ts'

export type Cell = Awaited<ReturnType<typeof openPeer>>

export const bucketName = 'bucket'
/** The first that a namespace gives. */
export const bucketId = 1

export const conflictMilliseconds = 7 * 24 * 3600 * 1000

/** A cell of several, with its clock, whose bucket has the id that it has everywhere. */
export async function openPeer(number: number, start: number) {
  const clock = { now: start }
  const world: World = {
    ...realWorld,
    now: () => Math.floor(clock.now / 1000),
    nowMicroseconds: () => BigInt(clock.now),
    sleep: async () => await new Promise((resolve) => setImmediate(resolve)),
  }
  const cell = await openCell(world, undefined, { region: `r${number}`, cell: number, hasPeers: true })
  await cell.buckets.create({ name: bucketName, owner, acl, location: '', hasObjectLock: false })
  const source: FeedSource = {
    foundation: cell.foundation,
    cells: new BucketCells(cell.foundation.namespace, () => undefined),
    incarnation: `incarnation-${number}`,
  }
  const target: FeedTarget = { foundation: cell.foundation, conflictMilliseconds }
  return { ...cell, number, clock, source, target }
}

export async function setVersioning(cell: Cell, versioning: Bucket['versioning']): Promise<void> {
  await cell.buckets.update(bucketName, (each) => ({ ...each, versioning }))
}

export const peerOf = ({ number, source }: Cell) => ({ cell: number, incarnation: source.incarnation })

/** What `to` would be told next. */
export async function nextPage(from: Cell, to: Cell, partition: number, entries = 1000): Promise<Page> {
  const after = await to.store.snapshot((snapshot) => readCursor(snapshot, { ...peerOf(from), partition }))
  const asking = { forCell: to.number, forIncarnation: to.source.incarnation }
  return await readPage(from.source, { partition, after, bytes: 1_000_000, entries, ...asking })
}

/** Until nobody tells anybody anything new. Throws where that does not come. */
export async function drain(cells: readonly Cell[]): Promise<void> {
  for (let round = 0; round < 50; round++) {
    let entries = 0
    for (const from of cells) {
      for (const to of cells) {
        if (from === to) continue
        for (let partition = 0; partition < partitions; partition++) {
          const page = await nextPage(from, to, partition)
          if (Buffer.compare(page.from, page.to) === 0) continue
          entries++
          const { cursor } = await applyPage(to.target, peerOf(from), page)
          if (cursor === undefined) throw new Error('a page that was not applied')
        }
      }
    }
    if (entries === 0) return
  }
  throw new Error('echoes that do not end')
}

const names = new Map(Object.entries(subspace).map(([name, byte]) => [byte, name]))

/** All that cells must have alike, as text. */
export async function replicatedRows(cell: Cell): Promise<readonly string[]> {
  return await cell.store.snapshot(async (snapshot) => {
    const rows: string[] = []
    for (const space of replicatedSpaces) {
      for (const { key, value } of await readReplicated(snapshot, space, bucketId, undefined, 100_000)) {
        const name = names.get(key[0] as (typeof subspace)[keyof typeof subspace])
        rows.push(`${name} ${Buffer.from(key).toString('hex')} ${Buffer.from(value).toString('hex')}`)
      }
    }
    return rows
  })
}
