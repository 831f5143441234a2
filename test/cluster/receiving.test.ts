import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readPage } from '#src/cluster/feed-pages.ts'
import { feedStart } from '#src/metadata/cursors.ts'
import { keys, partitions } from '#src/metadata/keyspace.ts'
import { type Receipt, receive } from '#src/metadata/receive.ts'
import type { Received } from '#src/metadata/received.ts'
import { readStored } from '#src/metadata/usage-records.ts'
import { attributes, body } from '../service/cell.ts'
import { bucketId, bucketName, type Cell, conflictMilliseconds, openPeer } from './merging-cells.ts'

const start = 1_767_225_600_000_000
const guard = () => {}

const put = (cell: Cell, key: string, text: string) =>
  cell.objects.put({
    name: { bucket: bucketName, key },
    attributes,
    body: body(Buffer.from(text)),
    digests: {},
    guard,
    conditions: {},
  })

async function recordsOf(cell: Cell): Promise<Received[]> {
  const found: Received[] = []
  for (let partition = 0; partition < partitions; partition++) {
    const request = { partition, after: feedStart, bytes: 1e6, entries: 1_000, forCell: 2 }
    found.push(...(await readPage(cell.source, request)).items.map(({ record }) => record))
  }
  return found
}

async function withTwo(run: (one: Cell, other: Cell) => Promise<void>): Promise<void> {
  const [one, other] = [await openPeer(1, start), await openPeer(2, start)]
  try {
    await run(one, other)
  } finally {
    await one.close()
    await other.close()
  }
}

test('C9 K1: the first tombstone of a bucket, of a key among many that are just received, is not overlooked', () =>
  withTwo(async (one, other) => {
    for (let index = 0; index < 20; index++) await put(one, `k${index}`, 'older')
    const records = await recordsOf(one)
    const stamp = records.reduce((most, each) => (each.kind === 'version' ? each.version.stamp : most), 0n) + 1_000_000n
    const removal: Received = {
      bucket: bucketId,
      key: 'k7',
      kind: 'removal',
      slot: 0n,
      removal: { kind: 'removal', stamp, vector: [[1, stamp]] },
    }
    const receiving = { here: other.foundation, now: other.foundation.world.now(), conflictMilliseconds }
    let attempts = 0
    await other.store.transact(async (transaction): Promise<Receipt> => {
      const receipt = await receive(transaction, records, receiving)
      // Commits while the page is on its way, and says of that key what the page does not know.
      if (attempts++ === 0) await other.store.transact((beside) => receive(beside, [removal], receiving))
      return receipt
    })
    assert.equal(attempts, 2)
    const [current, kept] = await other.store.snapshot((from) =>
      Promise.all([from.get(keys.current(bucketId, 'k7')), from.get(keys.current(bucketId, 'k8'))]),
    )
    assert.equal(current, undefined, 'what was removed is back')
    assert.notEqual(kept, undefined)
  }))

test('V10: what many records of one page are for the counts is what there is', () =>
  withTwo(async (one, other) => {
    for (let index = 0; index < 20; index++) await put(one, `k${index}`, 'x'.repeat(index))
    const receiving = { here: other.foundation, now: other.foundation.world.now(), conflictMilliseconds }
    const receiveAll = async () => {
      const records = await recordsOf(one)
      await other.store.transact((transaction) => receive(transaction, records, receiving))
    }
    const counted = () => other.store.snapshot((from) => readStored(from, bucketId))
    await receiveAll()
    assert.deepEqual(await counted(), new Map([['STANDARD', { objects: 20n, bytes: 190n }]]))
    // Again, and with some that are larger, and one that is no more.
    for (const key of ['k3', 'k4']) await put(one, key, 'y'.repeat(100))
    const name = { bucket: bucketName, key: 'k5' }
    await one.objects.delete({ name, guard, conditions: {}, bypassGovernance: false, caller: attributes.owner })
    await receiveAll()
    assert.deepEqual(await counted(), new Map([['STANDARD', { objects: 19n, bytes: 190n - 7n + 200n - 5n }]]))
  }))
