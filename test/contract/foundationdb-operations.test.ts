import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { type Harness, openHarness } from '../s3/store.ts'
import { CountedOperations } from '../support/counted-foundationdb.ts'
import { freshPrefix, TestCluster, whyNoFoundationDb } from '../support/foundationdb.ts'

const reason = whyNoFoundationDb()

/** The tables of docs/foundationdb.md: by request, its operations, the first of which is how often it waits for an answer. */
function documented(): ReadonlyMap<string, readonly string[]> {
  const text = readFileSync(join(import.meta.dirname, '../../docs/foundationdb.md'), 'utf8')
  const found = new Map<string, string[]>()
  let request = ''
  for (const line of text.split('\n')) {
    request = /^### (.*)$/.exec(line)?.[1] ?? request
    const [, operation] = /^\| \d+ \| ([^|]+) \|/.exec(line) ?? /^(Round trips: \d+)\.$/.exec(line) ?? []
    if (operation !== undefined) found.set(request, [...(found.get(request) ?? []), operation.trim()])
  }
  return found
}

test('what small requests cost in FoundationDB operations is what the documentation says', {
  skip: reason === undefined ? false : `NOT SHOWN: ${reason}`,
}, async () => {
  const cluster = await TestCluster.start()
  const prefix = freshPrefix()
  const counted = new CountedOperations(prefix)
  const place = { metadata: 'foundationdb', fdbClusterFile: cluster.clusterFile, fdbPrefix: prefix, fdbTimeout: '60' }
  let harness: Harness | undefined
  try {
    harness = await openHarness(place)
    const { client, makeBucket } = harness
    const Bucket = await makeBucket()
    const put = (Key: string, size: number) =>
      client.send(new PutObjectCommand({ Bucket, Key, Body: Buffer.alloc(size) }))
    const get = async (Key: string) =>
      (await client.send(new GetObjectCommand({ Bucket, Key }))).Body?.transformToByteArray()
    // Once, so that nothing is measured that only a first request does.
    await put('warm', 1_000)
    await get('warm')
    const requests: Readonly<Record<string, () => Promise<unknown>>> = {
      'PUT of 1 KiB': () => put('small', 1_024),
      'GET of 1 KiB': () => get('small'),
      'HEAD of 1 KiB': () => client.send(new HeadObjectCommand({ Bucket, Key: 'small' })),
      'PUT of 64 KiB': () => put('large', 65_536),
      'GET of 64 KiB': () => get('large'),
    }
    const table = documented()
    for (const [name, request] of Object.entries(requests)) {
      counted.take()
      await request()
      const trips = `Round trips: ${counted.roundTrips}`
      // Reads of one moment are asked for in whatever order they come to.
      assert.deepEqual([trips, ...counted.take()].sort(), [...(table.get(name) ?? [])].sort(), name)
    }
  } finally {
    await harness?.close()
    await cluster.stop()
  }
})
