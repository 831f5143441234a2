import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Collector, type ReceivedSpan } from '../support/collector.ts'
import { hasRedis, RedisProcess } from '../support/redis.ts'
import { type Answer, SignedClient } from '../support/signed-client.ts'
import { alice, type Cluster, openCluster, type StartedRegion, until, untilJoined } from './regions.ts'

let collector: Collector
let cluster: Cluster
let fra: StartedRegion
let syd: StartedRegion
let redis: RedisProcess | undefined

before(async () => {
  collector = await Collector.start()
  cluster = await openCluster()
  redis = hasRedis ? await RedisProcess.start() : undefined
  const flags = { traceEndpoint: collector.endpoint, promoteReads: '2', prefetchSiblings: '0' }
  fra = await cluster.start('fra', flags)
  syd = await cluster.start('syd', { ...flags, ...(redis !== undefined && { redis: redis.url }) })
  await untilJoined(fra, syd)
})
after(async () => {
  await cluster.close()
  await redis?.stop()
  await collector.close()
})

let traces = 0
/** An id that only this test makes. */
const newTrace = (): string => (++traces).toString(16).padStart(32, '0')
const parentId = '00000000000000ab'

async function send(
  region: StartedRegion,
  method: string,
  path: string,
  traceId: string,
  options: { readonly body?: Uint8Array; readonly headers?: Record<string, string>; readonly flags?: string } = {},
): Promise<Answer> {
  const client = new SignedClient(region.endpoint, { accessKey: alice.accessKeyId, secretKey: alice.secretAccessKey })
  const { body, headers = {}, flags = '01' } = options
  try {
    return await client.send({
      method,
      path,
      headers: { ...headers, traceparent: `00-${traceId}-${parentId}-${flags}` },
      ...(body !== undefined && { body }),
    })
  } finally {
    client.close()
  }
}

/** The spans of a trace once there is one of that name in that region, and each has its parent. */
async function traced(traceId: string, name: string, region: string): Promise<readonly ReceivedSpan[]> {
  await until(() => {
    const spans = collector.trace(traceId)
    const ids = new Set([parentId, ...spans.map((each) => each.spanId)])
    const isWhole = spans.every(({ parentSpanId = '' }) => ids.has(parentSpanId))
    return isWhole && spans.some((each) => each.name === name && each.region === region)
  })
  return collector.trace(traceId)
}

function one(spans: readonly ReceivedSpan[], name: string, region: string): ReceivedSpan {
  const found = spans.filter((each) => each.name === name && each.region === region)
  const [span] = found
  assert.ok(span !== undefined, `no span ${name} in ${region} among ${spans.map((each) => each.name).join()}`)
  return span
}

const childrenOf = (spans: readonly ReceivedSpan[], { spanId }: ReceivedSpan, name: string): readonly ReceivedSpan[] =>
  spans.filter((each) => each.parentSpanId === spanId && each.name === name)

/** Each span's parent is there, but for those that the client named; and lies around it, unless it asked for work that goes on. */
function checkWhole(spans: readonly ReceivedSpan[]): void {
  const byId = new Map(spans.map((each) => [each.spanId, each]))
  assert.equal(byId.size, spans.length)
  for (const span of spans) {
    assert.ok(BigInt(span.startTimeUnixNano) <= BigInt(span.endTimeUnixNano))
    if (span.parentSpanId === parentId) continue
    const parent = byId.get(span.parentSpanId ?? '')
    assert.ok(parent !== undefined, `${span.name} has no parent`)
    if (parent.region === span.region) assert.ok(span.startTimeUnixNano >= parent.startTimeUnixNano, span.name)
  }
}

const large = Buffer.alloc(300_000, 'x')

test('a PUT in one region, and a GET in another that fetches from the first, are traces from the client to the disk', async () => {
  const [made, written, read] = [newTrace(), newTrace(), newTrace()]
  assert.equal((await send(fra, 'PUT', '/traced', made)).status, 200)
  assert.equal((await send(fra, 'PUT', '/traced/large', written, { body: large })).status, 200)
  const put = await traced(written, 'S3 PutObject', 'fra')
  checkWhole(put)
  const root = one(put, 'S3 PutObject', 'fra')
  assert.equal(root.parentSpanId, parentId)
  assert.equal(root.kind, 2)
  assert.equal(root.attributes['http.response.status_code'], 200)
  assert.equal(root.attributes['aws.s3.bucket'], 'traced')
  assert.match(String(root.attributes['aws.request_id']), /^[0-9A-Z]{8,}$/)
  assert.equal(root.attributes['aws.s3.key'], undefined, 'keys are personal data')
  assert.equal(root.resource['service.name'], 'meridian')
  assert.equal(childrenOf(put, root, 'authenticate').length, 1)
  const [blob] = childrenOf(put, root, 'blob write')
  assert.ok(blob !== undefined)
  assert.equal(blob.attributes['meridian.blob.bytes'], large.length)
  assert.equal(childrenOf(put, blob, 'blob sync')[0]?.attributes['meridian.sync'], 'shared')
  const [transaction] = childrenOf(put, root, 'metadata transaction')
  assert.equal(transaction?.attributes['meridian.transaction.committed'], true)
  assert.equal(transaction?.attributes['meridian.transaction.retries'], 0)
  assert.equal(transaction?.attributes['db.system.name'], 'lmdb')

  await until(async () => (await send(syd, 'HEAD', '/traced/large', newTrace())).status === 200)
  const answer = await send(syd, 'GET', '/traced/large', read)
  assert.deepEqual([answer.status, answer.body.length], [200, large.length])
  await traced(read, 'peer answer blob', 'fra')
  const get = await traced(read, 'S3 GetObject', 'syd')
  checkWhole(get)
  const reading = one(get, 'blob read', 'syd')
  assert.equal(reading.attributes['meridian.served_from'], 'fra')
  const [call] = childrenOf(get, reading, 'peer call blob')
  assert.ok(call !== undefined)
  assert.deepEqual([call.kind, call.attributes['meridian.peer']], [3, 'fra'])
  const [answering] = childrenOf(get, call, 'peer answer blob')
  assert.ok(answering !== undefined)
  assert.deepEqual([answering.region, answering.kind, answering.attributes['meridian.peer']], ['fra', 2, 'syd'])
  const [there] = childrenOf(get, answering, 'blob read')
  assert.equal(there?.attributes['meridian.served_from'], 'volume')
})

test('a job that a read asked for is in its trace, through the outbox, the queue and the worker', async () => {
  const [Key, again] = ['/traced/popular', newTrace()]
  assert.equal((await send(fra, 'PUT', Key, newTrace(), { body: large })).status, 200)
  await until(async () => (await send(syd, 'HEAD', Key, newTrace())).status === 200)
  assert.equal((await send(syd, 'GET', Key, newTrace())).status, 200)
  // The second one within the hour: a durable copy is to be taken.
  assert.equal((await send(syd, 'GET', Key, again)).status, 200)
  const spans = await traced(again, 'job fetch blob', 'syd')
  await traced(again, 'S3 GetObject', 'syd')
  const asked = one(spans, 'job ask', 'syd')
  assert.ok(childrenOf(spans, asked, 'metadata transaction').length === 1)
  const [relayed] = childrenOf(spans, asked, 'job relay')
  assert.ok(relayed !== undefined)
  const [worked] = childrenOf(spans, relayed, 'job fetch blob')
  assert.ok(worked !== undefined)
  assert.equal(worked.kind, 5)
  assert.deepEqual(
    worked.links.map(({ traceId, spanId }) => [traceId, spanId]),
    [[again, asked.spanId]],
  )
  assert.equal(worked.attributes['meridian.job.attempt'], 1)
  const writing = childrenOf(spans, worked, 'blob write')
  assert.equal(writing[0]?.attributes['meridian.blob.bytes'], large.length)
})

test('a request that another region carries out is one trace, and its client may sign what it said', async () => {
  const [made, passed] = [newTrace(), newTrace()]
  assert.equal((await send(syd, 'PUT', '/traced-fra', made, { headers: { 'x-tigris-regions': 'fra' } })).status, 200)
  const answer = await send(syd, 'PUT', '/traced-fra/key', passed, { body: Buffer.from('x') })
  assert.deepEqual([answer.status, answer.headers['x-tigris-served-from']], [200, 'fra'])
  await traced(passed, 'S3 Forwarded', 'syd')
  const spans = await traced(passed, 'S3 PutObject', 'fra')
  const root = one(spans, 'S3 Forwarded', 'syd')
  const [forward] = childrenOf(spans, root, 'forward')
  assert.ok(forward !== undefined)
  assert.equal(forward.attributes['meridian.peer'], 'fra')
  const [there] = childrenOf(spans, forward, 'S3 PutObject')
  assert.ok(there !== undefined)
  assert.equal(there.attributes['meridian.forwarded_by'], 'syd')
  assert.equal(childrenOf(spans, there, 'authenticate').length, 1)
})

test('what a client does not want traced is not, here or there, and who is no member names no parent', async () => {
  const [quiet, forged, last] = [newTrace(), newTrace(), newTrace()]
  const path = '/traced-fra/key'
  assert.equal((await send(syd, 'PUT', path, quiet, { body: Buffer.from('x'), flags: '00' })).status, 200)
  const headers = { 'x-meridian-trace': `00-${forged}-${parentId}-01` }
  assert.equal((await send(syd, 'GET', path, quiet, { flags: '00' })).status, 200)
  assert.equal((await send(fra, 'GET', path, quiet, { headers, flags: '00' })).status, 200)
  assert.equal((await send(fra, 'GET', path, last)).status, 200)
  assert.equal((await send(syd, 'GET', path, last)).status, 200)
  // What ended before has been told by then: spans go out in the order in which they end.
  await traced(last, 'S3 GetObject', 'fra')
  await traced(last, 'S3 Forwarded', 'syd')
  assert.deepEqual([...collector.trace(quiet), ...collector.trace(forged)], [])
})

test('an answer that is an error is told as one', async () => {
  const lost = newTrace()
  assert.equal((await send(fra, 'GET', '/traced/nothing', lost)).status, 404)
  const root = one(await traced(lost, 'S3 GetObject', 'fra'), 'S3 GetObject', 'fra')
  assert.deepEqual([root.attributes['error.type'], root.hasFailed], ['NoSuchKey', false])
})
