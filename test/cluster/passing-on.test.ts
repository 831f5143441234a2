import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { PutBucketLoggingCommand, PutBucketPolicyCommand } from '@aws-sdk/client-s3'
import { say, statuses } from '../support/raw-socket.ts'
import { type Cluster, openCluster, type StartedRegion, send, until, untilJoined } from './regions.ts'

let cluster: Cluster
let fra: StartedRegion
let syd: StartedRegion
const token = 'a-token-of-the-authority'

before(async () => {
  cluster = await openCluster()
  fra = await cluster.start('fra', { contentDomains: 'content.test', websiteDomains: 'website.test' })
  const acmeChallenges = join(cluster.folder, 'challenges')
  await mkdir(acmeChallenges)
  await writeFile(join(acmeChallenges, token), 'the answer')
  syd = await cluster.start('syd', { acmeChallenges, contentDomains: 'content.test', websiteDomains: 'website.test' })
  await untilJoined(fra, syd)
  assert.equal((await send(fra, 'PUT', '/only-fra', { 'x-tigris-regions': 'fra' })).status, 200)
  assert.equal((await send(fra, 'PUT', '/only-fra/key', {}, Buffer.from('value'))).status, 200)
})
after(() => cluster.close())

const raw = (words: string, until?: RegExp) =>
  say(syd.node.port, words, { forMs: 5_000, ...(until !== undefined && { until }) })

const isUp = (): boolean => syd.node.node.region?.health.state(0).isUp === true

test('Y18: what a client says of its connection makes no body of its own the request of another', async () => {
  const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: x\r\nX: '
  const chunked = `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`
  const link = 'GET /?Action=ConfirmSubscription&TopicArn=x&Token=y'
  for (const line of ['GET /only-fra/none', 'DELETE /only-fra/none', link]) {
    for (const [name, value, body] of [
      ['Content-Length', String(smuggled.length), smuggled],
      ['Transfer-Encoding', 'chunked', chunked],
      ['Host', 'y', ''],
    ]) {
      const heads = name === 'Host' ? '' : `${name}: ${value}\r\n`
      const head = `${line} HTTP/1.1\r\nHost: x\r\nConnection: ${name}\r\n${heads}\r\n`
      for (let each = 0; each < 4; each++) {
        const heard = await raw(head + body, /\r\n\r\n/)
        assert.match(heard.text, /x-tigris-served-from: fra/, `${line}, ${name}`)
        const next = await send(syd, 'GET', '/only-fra/key')
        assert.equal(next.status, 200, `after ${line}, ${name}`)
        assert.equal(next.body.toString(), 'value')
      }
    }
  }
})

test('a header that cannot be passed on is not taken for the loss of a region', async () => {
  const heard = await raw('GET /only-fra/key HTTP/1.1\r\nHost: x\r\nTrailer: x\r\n\r\n', /<\/Error>/)
  assert.deepEqual(statuses(heard), [403])
  assert.match(heard.text, /x-tigris-served-from: fra/)
  assert.equal(isUp(), true)
})

test('the regions that a write has to be in are set through any region', async () => {
  assert.equal((await send(fra, 'PUT', '/durable')).status, 200)
  const set = await send(syd, 'PATCH', '/durable', { 'x-meridian-durability-regions': '2' })
  assert.equal(set.status, 200, set.body.toString())
  const { buckets } = fra.node.node.services
  assert.equal((await buckets.get('durable')).durability, 2)
})

test('a request that another region carries out is logged by that region alone', async () => {
  for (const bucket of ['logged', 'logs']) {
    assert.equal((await send(fra, 'PUT', `/${bucket}`, { 'x-tigris-regions': 'fra' })).status, 200)
  }
  const Statement = {
    Effect: 'Allow',
    Principal: { Service: 'logging.s3.amazonaws.com' },
    Action: 's3:PutObject',
    Resource: 'arn:aws:s3:::logs/*',
  }
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [Statement] })
  await fra.client.send(new PutBucketPolicyCommand({ Bucket: 'logs', Policy }))
  const LoggingEnabled = { TargetBucket: 'logs', TargetPrefix: '' }
  await fra.client.send(new PutBucketLoggingCommand({ Bucket: 'logged', BucketLoggingStatus: { LoggingEnabled } }))
  await until(async () => (await syd.node.node.services.buckets.get('logged')).logging !== undefined)
  const told: string[] = []
  for (const { code, node } of [fra, syd]) {
    const { logs } = node.node.services
    const record = logs.record.bind(logs)
    logs.record = async (...asked) => {
      told.push(code)
      await record(...asked)
    }
  }
  assert.equal((await send(syd, 'GET', '/logged/none')).status, 404)
  assert.equal((await send(syd, 'PUT', '/logged/key', {}, Buffer.from('value'))).status, 200)
  assert.deepEqual(told, ['fra', 'fra'])
})

test('what a client expects that nobody knows, and a request of HTTP/1.0, are passed on as any other', async () => {
  for (const head of [
    'PUT /only-fra/none HTTP/1.1\r\nHost: x\r\nExpect: 200\r\nContent-Length: 0\r\n\r\n',
    'GET /only-fra/none HTTP/1.0\r\n\r\n',
  ]) {
    const heard = await raw(head, /<\/Error>/)
    assert.deepEqual(statuses(heard), [403], head)
    assert.match(heard.text, /x-tigris-served-from: fra/, head)
    assert.match(heard.text, /<Code>AccessDenied<\/Code>/, head)
  }
})

test('a page of a website that another region serves is metered by that region alone', async () => {
  const page = '<WebsiteConfiguration><IndexDocument><Suffix>key</Suffix></IndexDocument></WebsiteConfiguration>'
  assert.equal((await send(fra, 'PUT', '/pages', { 'x-tigris-regions': 'fra' })).status, 200)
  assert.equal((await send(fra, 'PUT', '/pages/key', {}, Buffer.from('a page'))).status, 200)
  const Statement = { Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: 'arn:aws:s3:::pages/*' }
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [Statement] })
  await fra.client.send(new PutBucketPolicyCommand({ Bucket: 'pages', Policy }))
  assert.equal((await send(fra, 'PUT', '/pages', {}, Buffer.from(page), { website: '' })).status, 200)
  await until(async () => (await syd.node.node.services.buckets.get('pages')).website !== undefined)
  const counted: string[] = []
  for (const { code, node } of [fra, syd]) {
    const { meter } = node.node
    const count = meter.count.bind(meter)
    meter.count = (...asked) => {
      counted.push(code)
      count(...asked)
    }
  }
  const heard = await raw('GET / HTTP/1.1\r\nHost: pages.website.test\r\n\r\n', /a page|<\/html>/)
  assert.match(heard.text, /x-tigris-served-from: fra/)
  assert.match(heard.text, /a page/)
  // What is counted is, a moment after the answer.
  await until(() => counted.length > 0)
  await sleep(200)
  assert.deepEqual([...new Set(counted)], ['fra'])
})

test('a challenge of ACME is answered by the region that is asked, where that has been given any', async () => {
  const head = `GET /.well-known/acme-challenge/${token} HTTP/1.1\r\nHost: only-fra.content.test\r\n\r\n`
  const heard = await raw(head, /the answer/)
  assert.deepEqual(statuses(heard), [200])
  const iad = await cluster.start('iad', { contentDomains: 'content.test' })
  await untilJoined(fra, iad)
  const other = await say(iad.node.port, head, { forMs: 5_000, until: /<\/html>|<\/Error>/i })
  assert.match(other.text, /x-tigris-served-from: fra/)
})
