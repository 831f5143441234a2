import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { publish, readDeadLetters } from '#src/metadata/notification-records.ts'
import { clearTopic } from '#src/metadata/topic-records.ts'
import { parseTopicArn } from '#src/model/topic.ts'
import { DeadLetters } from '#src/service/dead-letters.ts'
import { MessageKeys } from '#src/service/message-keys.ts'
import { Notifier } from '#src/service/notifier.ts'
import { CellTopics } from '#src/service/topics.ts'
import { MemoryStore } from '#src/store/memory/memory-store.ts'
import { HttpSender } from '#src/webhook/sender.ts'
import { realWorld, type World } from '#src/world.ts'
import { Endpoint } from '../support/endpoint.ts'
import { memoryKeys } from '../support/memory-keys.ts'

const ears: { endpoint?: Endpoint } = {}
before(async () => {
  ears.endpoint = await Endpoint.open()
})
after(() => ears.endpoint?.close())
const endpoint = (): Endpoint => ears.endpoint ?? assert.fail('the endpoint is not open yet')

const hour = 3_600_000
/** Of all processes that the tests start. */
const own = memoryKeys()
/** What the notifiers said of dead letters that went for newer ones. */
const forgotten: number[] = []

async function all<Item>(items: AsyncIterable<Item>): Promise<readonly Item[]> {
  const found: Item[] = []
  for await (const each of items) found.push(each)
  return found
}

/** Topics and a notifier over a store in memory, whose clock goes on as the test says. */
function open() {
  let late = 0
  const world: World = { ...realWorld, now: () => realWorld.now() + late }
  const store = new MemoryStore({ world })
  const keys = new MessageKeys({ store, world, own })
  const topics = new CellTopics({ store, world, region: 'fra', publicUrl: 'https://here', reach: 'any', keys })
  const failures: unknown[] = []
  const notifier = new Notifier({
    store,
    world,
    keys,
    sender: new HttpSender(world, 'any'),
    giveUpMilliseconds: 24 * hour,
    deadLettersMost: 3,
    forgotten: ({ count }) => void forgotten.push(count),
    report: () => {},
    failed: (error) => failures.push(error),
  })
  const stopping = new AbortController()
  return {
    store,
    topics,
    notifier,
    stopping,
    failures,
    letters: new DeadLetters({ store, world }),
    pass: (milliseconds: number) => {
      late += milliseconds
    },
    /** Hands on and begins what is due, and waits for how it ends; gives how many were begun. */
    async step(): Promise<number> {
      await notifier.handOn()
      const begun = await notifier.look(stopping.signal)
      await notifier.settled()
      return begun
    },
    async topic(path: string): Promise<NonNullable<ReturnType<typeof parseTopicArn>>> {
      const name = `t-${randomBytes(4).toString('hex')}`
      const attributes = { 'push-endpoint': `${endpoint().url}${path}`, RawMessageDelivery: 'true' }
      const arn = await topics.create({ owner: 'me', name, attributes, base: 'http://there' })
      return parseTopicArn(arn) ?? assert.fail(arn)
    },
  }
}

test('H8: a message that is not taken is tried again after pauses that double, from half to whole, and then given up', async () => {
  const { topics, step, pass, letters, topic, failures } = open()
  const path = '/never'
  endpoint().answering = (received) => (received.path === path ? 503 : 200)
  const named = await topic(path)
  await topics.publish({ topic: named, text: 'x' })
  assert.equal(await step(), 1)
  for (const pause of [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1200, 1200].map((seconds) => seconds * 1000)) {
    // The clock goes on by itself too, a little.
    pass(pause / 2 - 400)
    assert.equal(await step(), 0, `too early, of ${pause} ms`)
    pass(pause / 2 + 400)
    assert.equal(await step(), 1, `too late, of ${pause} ms`)
  }
  pass(24 * hour)
  assert.equal(await step(), 1)
  pass(24 * hour)
  assert.equal(await step(), 0)
  const found = await all(letters.list({}))
  assert.deepEqual(
    found.map(({ reason, attempts, message }) => [reason, attempts, message.text]),
    [['the endpoint answered 503', 15, 'x']],
  )
  endpoint().answering = () => 200
  assert.equal(await letters.retry({ owner: 'nobody' }), 0)
  assert.equal(await letters.retry({ owner: 'me', topic: named.name }), 1)
  assert.equal(await step(), 1)
  assert.equal((await endpoint().wait(16, path)).length, 16)
  pass(24 * hour)
  assert.equal(await step(), 0, 'taken, it is gone')
  assert.deepEqual(await all(letters.list({})), [])
  assert.deepEqual(failures, [])
})

test('H9: endpoints that never answer hold up no other, however many messages wait for them', async () => {
  const { topics, notifier, topic, stopping } = open()
  endpoint().answering = (received) => (received.path.startsWith('/stuck') ? 'never' : 200)
  const stuck = await Promise.all(Array.from({ length: 12 }, (_, at) => topic(`/stuck-${at}`)))
  for (const each of stuck) for (let at = 0; at < 20; at++) await topics.publish({ topic: each, text: 'x' })
  const running = notifier.run(stopping.signal)
  await new Promise((resolve) => setTimeout(resolve, 1_500))
  const well = await topic('/well')
  for (let at = 0; at < 50; at++) await topics.publish({ topic: well, text: `${at}` })
  const heard = await endpoint().wait(50, '/well', 5_000)
  assert.equal(heard.length, 50)
  const each = stuck.map((_, at) => endpoint().received.filter(({ path }) => path === `/stuck-${at}`).length)
  assert.ok(Math.max(...each) <= 6, `${each}`)
  stopping.abort()
  await running
  endpoint().answering = () => 200
})

test('H9: a backlog is not thrown at an endpoint that is down, and goes out once it is up', async () => {
  const { topics, notifier, topic, stopping } = open()
  const path = '/down'
  endpoint().answering = (received) => (received.path === path ? 503 : 200)
  const named = await topic(path)
  for (let at = 0; at < 100; at++) await topics.publish({ topic: named, text: `${at}` })
  const running = notifier.run(stopping.signal)
  await new Promise((resolve) => setTimeout(resolve, 1_500))
  const tried = endpoint().received.filter((each) => each.path === path).length
  assert.ok(tried >= 2 && tried <= 8, `${tried} attempts`)
  endpoint().answering = () => 200
  endpoint().received.length = 0
  const texts = async () => new Set((await endpoint().wait(100, path, 15_000)).map(({ body }) => body))
  assert.equal((await texts()).size, 100)
  stopping.abort()
  await running
})

test('H3: what was under way when a process ended is sent by the next one, and nothing is left behind', async () => {
  const { store, topics, notifier, topic, stopping } = open()
  const path = '/hanging'
  endpoint().answering = (received) => (received.path === path ? 'never' : 200)
  const named = await topic(path)
  await topics.publish({ topic: named, text: 'x' })
  const running = notifier.run(stopping.signal)
  await endpoint().wait(1, path)
  stopping.abort()
  await running
  endpoint().answering = () => 200
  const next = new Notifier({
    store,
    world: realWorld,
    keys: new MessageKeys({ store, world: realWorld, own }),
    sender: new HttpSender(realWorld, 'any'),
    giveUpMilliseconds: hour,
    deadLettersMost: 3,
    forgotten: ({ count }) => void forgotten.push(count),
    report: () => assert.fail('it was taken'),
    failed: (error) => assert.fail(String(error)),
  })
  const again = new AbortController()
  assert.equal(await next.look(again.signal), 1)
  await next.settled()
  assert.equal((await endpoint().wait(2, path)).length, 2)
})

test('H3: a message of a topic that is gone is a dead letter; its deliveries go with it', async () => {
  const { store, topics, step, topic, letters } = open()
  endpoint().answering = () => 500
  const first = await topic('/gone')
  const second = await topic('/gone')
  for (const each of [first, second]) await topics.publish({ topic: each, text: each.name })
  await store.transact(async (transaction) => clearTopic(transaction, first))
  await step()
  const found = await store.snapshot((snapshot) => readDeadLetters(snapshot, {}, { after: undefined, limit: 10 }))
  assert.deepEqual(
    found.map(({ letter }) => [letter.message.text, letter.reason]),
    [[first.name, 'the topic does not exist']],
  )
  await topics.delete(second)
  endpoint().answering = () => 200
  const before = endpoint().received.length
  const world = { ...realWorld, now: () => realWorld.now() + hour }
  const later = new Notifier({
    store,
    world,
    keys: new MessageKeys({ store, world, own }),
    sender: new HttpSender(world, 'any'),
    giveUpMilliseconds: hour,
    deadLettersMost: 3,
    forgotten: ({ count }) => void forgotten.push(count),
    report: () => {},
    failed: (error) => assert.fail(String(error)),
  })
  assert.equal(await later.look(new AbortController().signal), 0)
  assert.equal(endpoint().received.length, before)
  assert.equal(await letters.delete({}), 1)
})

test('H12: of one topic only so many dead letters are kept, the newest, and it is told which were not', async () => {
  const { store, step, topic, letters } = open()
  const [full, other] = [await topic('/full'), await topic('/other')]
  await store.transact(async (transaction) => {
    for (const each of [full, other]) clearTopic(transaction, each)
  })
  const texts = async (name: string) =>
    (await all(letters.list({ owner: 'me', topic: name }))).map(({ message }) => message.text)
  const giveUp = async (text: string, where = full) => {
    const message = { id: text, kind: 'Notification', text, time: 0 } as const
    await store.transact(async (transaction) => publish(transaction, { topic: where, message }))
    await step()
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  forgotten.length = 0
  await giveUp('x', other)
  for (const text of ['1', '2', '3']) await giveUp(text)
  assert.deepEqual(forgotten, [])
  for (const text of ['4', '5']) await giveUp(text)
  assert.deepEqual(forgotten, [1, 1])
  assert.deepEqual(await texts(full.name), ['3', '4', '5'])
  assert.deepEqual(await texts(other.name), ['x'])
  assert.equal(await letters.delete({ owner: 'me', topic: full.name }), 3)
  for (const text of ['6', '7', '8']) await giveUp(text)
  assert.deepEqual(forgotten, [1, 1])
  assert.deepEqual(await texts(full.name), ['6', '7', '8'])
})
