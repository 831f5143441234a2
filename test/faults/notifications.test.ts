import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { meridian } from '../command/command.ts'
import { Endpoint } from '../support/endpoint.ts'
import { administrator, ServerProcess } from '../support/server-process.ts'
import { SignedClient } from '../support/signed-client.ts'
import { SnsClient } from '../support/sns-client.ts'

/** Notifications when processes are killed, and when endpoints stay away. */

const folder = mkdtempSync(join(tmpdir(), 'meridian-notifications-'))
after(() => rmSync(folder, { recursive: true, force: true }))

async function configure(server: ServerProcess, topic: string, url: string): Promise<SignedClient> {
  const sns = new SnsClient(server.endpoint, administrator)
  const arn = await sns.createTopic(topic, { 'push-endpoint': url, RawMessageDelivery: 'true' })
  const client = new SignedClient(server.endpoint, administrator)
  assert.equal((await client.send({ method: 'PUT', path: '/bucket' })).status, 200)
  const document = `<NotificationConfiguration><TopicConfiguration><Topic>${arn}</Topic><Event>s3:ObjectCreated:*</Event></TopicConfiguration></NotificationConfiguration>`
  const put = { method: 'PUT', path: '/bucket', query: { notification: '' }, body: Buffer.from(document) }
  assert.equal((await client.send(put)).status, 200)
  return client
}

const keysOf = (endpoint: Endpoint): ReadonlySet<string> =>
  new Set(
    endpoint.received.flatMap(({ body }) => {
      const { Records } = JSON.parse(body) as { Records?: readonly { s3: { object: { key: string } } }[] }
      return (Records ?? []).map((record) => record.s3.object.key)
    }),
  )

/** Until a condition holds, at most so many milliseconds. */
async function until(condition: () => boolean, patience: number): Promise<boolean> {
  const end = performance.now() + patience
  while (!condition() && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 50))
  return condition()
}

test('H3: kill -9 between an answer and its delivery loses no event, wherever it strikes', async () => {
  const data = join(folder, 'killed')
  const endpoint = await Endpoint.open()
  // Nothing is taken at first: what was written waits as published, as delivery, or under way.
  endpoint.answering = () => 'never'
  const flags = ['--notification-endpoints', 'any']
  const acknowledged = new Set<string>()
  try {
    for (let round = 0; round < 3; round++) {
      const server = await ServerProcess.start({ data, workers: 2, flags })
      try {
        const client = await configure(server, 'told', `${endpoint.url}/told`)
        const writing = Array.from({ length: 40 }, async (_, at) => {
          const key = `${round}-${at}`
          const body = Buffer.alloc(at % 2 === 0 ? 10 : 20_000, 'x')
          const answer = await client.send({ method: 'PUT', path: `/bucket/${key}`, body }).catch(() => undefined)
          if (answer?.status === 200) acknowledged.add(key)
        })
        // At once, while some are written; or later, when some are under way.
        await (round < 2 ? Promise.any(writing) : Promise.all(writing))
        await new Promise((resolve) => setTimeout(resolve, round * 300))
        await server.kill()
        await Promise.all(writing)
        client.close()
      } finally {
        await server.kill()
      }
    }
    assert.ok(acknowledged.size >= 50, `only ${acknowledged.size} writes were acknowledged`)
    endpoint.answering = () => 200
    endpoint.received.length = 0
    const server = await ServerProcess.start({ data, workers: 1, flags })
    try {
      const hasAll = (): boolean => [...acknowledged].every((key) => keysOf(endpoint).has(key))
      const came = await until(hasAll, 60_000)
      const missing = [...acknowledged].filter((key) => !keysOf(endpoint).has(key))
      assert.ok(came, `${missing.length} of ${acknowledged.size} events never came: ${missing.slice(0, 5)}`)
      assert.equal(await server.stop(), 0)
    } finally {
      await server.kill()
    }
  } finally {
    await endpoint.close()
  }
})

test('H8: what nobody takes in time is a dead letter, which can be read, retried and deleted', async () => {
  const data = join(folder, 'dead')
  const endpoint = await Endpoint.open()
  endpoint.answering = () => 500
  const flags = ['--notification-endpoints', 'any', '--notification-hours', '0.0003']
  const server = await ServerProcess.start({ data, workers: 1, flags })
  const letters = async (...words: string[]) => {
    const { code, output, errors } = await meridian('notifications', 'dead-letters', ...words, '--data', data)
    assert.equal(code, 0, errors)
    return output
  }
  const list = async () =>
    (await letters('list'))
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as { topic: string; reason: string; attempts: number; message: string })
  try {
    const client = await configure(server, 'sad', `${endpoint.url}/sad`)
    assert.equal((await client.send({ method: 'PUT', path: '/bucket/key', body: Buffer.from('x') })).status, 200)
    let found = await list()
    for (let look = 0; look < 30 && found.length < 2; look++) {
      await new Promise((resolve) => setTimeout(resolve, 300))
      found = await list()
    }
    // The test event, and the object's.
    assert.equal(found.length, 2)
    for (const each of found) {
      assert.equal(each.topic, 'sad')
      assert.equal(each.reason, 'the endpoint answered 500')
      assert.ok(each.attempts >= 2, `${each.attempts} attempts`)
    }
    assert.equal(found.filter(({ message }) => message.includes('"key":"key"')).length, 1)

    endpoint.answering = () => 200
    endpoint.received.length = 0
    assert.equal(await letters('retry'), '2\n')
    assert.deepEqual(await list(), [])
    assert.equal((await endpoint.wait(2, '/sad')).length, 2)

    // Of a topic that is gone.
    const sns = new SnsClient(server.endpoint, administrator)
    const topics = await sns.call('ListTopics')
    assert.equal((await sns.call('DeleteTopic', { TopicArn: topics.value('TopicArn') ?? '' })).status, 200)
    assert.equal((await client.send({ method: 'PUT', path: '/bucket/other', body: Buffer.from('x') })).status, 200)
    for (let look = 0; look < 30 && found[0]?.reason !== 'the topic does not exist'; look++) found = await list()
    assert.equal(found[0]?.reason, 'the topic does not exist')
    assert.equal(await letters('delete'), '1\n')
    assert.deepEqual(await list(), [])
    client.close()
    assert.equal(await server.stop(), 0)
  } finally {
    await server.kill()
    await endpoint.close()
  }
})

test('H11: a key that the command makes is the one that a running server signs with', async () => {
  const data = join(folder, 'rotated')
  const server = await ServerProcess.start({ data, workers: 1 })
  const served = async () => {
    const answer = await fetch(`${server.endpoint}/.well-known/meridian-notifications.pem`)
    return new X509Certificate(await answer.text()).fingerprint256
  }
  try {
    const before = await served()
    const { code, output, errors } = await meridian('notifications', 'rotate-key', '--data', data)
    assert.equal(code, 0, errors)
    assert.notEqual(before, output.trim())
    assert.equal(await served(), output.trim())
    assert.equal(await server.stop(), 0)
  } finally {
    await server.kill()
  }
})

test('H4: by default nothing is sent to this machine, by number or by name', async () => {
  const data = join(folder, 'guarded')
  const endpoint = await Endpoint.open()
  const server = await ServerProcess.start({ data, workers: 1, flags: ['--notification-hours', '0.0001'] })
  try {
    const sns = new SnsClient(server.endpoint, administrator)
    const numbers = ['127.0.0.1', 'localhost', '[::1]', '[::ffff:127.0.0.1]', '2130706433', '0x7f.1', '169.254.169.254']
    for (const host of numbers) {
      const refused = sns.createTopic('x', { 'push-endpoint': `http://${host}:${endpoint.port}/x` })
      await assert.rejects(refused, /InvalidParameter/, host)
    }
    assert.equal(endpoint.received.length, 0)
    assert.equal(await server.stop(), 0)
  } finally {
    await server.kill()
    await endpoint.close()
  }
})
