import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { ProcessQueue } from '#replicator/process-queue.ts'
import { RedisQueue } from '#replicator/queue.ts'
import { realWorld } from '#src/world.ts'
import { hasRedis, RedisProcess } from '../support/redis.ts'
import { jobQueueContract } from './job-queue.contract.ts'

jobQueueContract('in the process', async () => new ProcessQueue(realWorld))

test('job queue: in the process: nothing is left of each time that a worker was woken', {
  timeout: 60_000,
}, async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const queue = new ProcessQueue(realWorld)
  const stopping = new AbortController()
  const pace = { concurrency: 1, perSecond: 1_000_000 }
  const working = queue.work(async () => {}, { signal: stopping.signal, pace, failed: assert.ifError })
  const times = 10_000
  const wake = async (): Promise<number> => {
    for (let each = 0; each < times; each++) {
      await queue.add([{ id: `${each}`, urgency: each % 2 }])
      await turn()
    }
    collect()
    return process.memoryUsage().heapUsed
  }
  const before = await wake()
  const bytes = ((await wake()) - before) / times
  stopping.abort()
  await working
  assert.ok(bytes < 60, `${bytes} bytes each time`)
})

if (hasRedis) {
  let redis: RedisProcess | undefined
  let count = 0
  before(async () => {
    redis = await RedisProcess.start()
  })
  after(() => redis?.stop())
  jobQueueContract('BullMQ on Redis', async () => {
    if (redis === undefined) throw new Error('Redis was not started')
    return new RedisQueue({ url: redis.url, name: `queue-${count++}`, failed: () => {} })
  })

  test('job queue: BullMQ on Redis: a stop ends where Redis went away, and where it came back a moment ago', async () => {
    for (const isBack of [false, true]) {
      const own = await RedisProcess.start()
      const queue = new RedisQueue({ url: own.url, name: 'queue', failed: () => {} })
      const stopping = new AbortController()
      let done = 0
      const pace = { concurrency: 1, perSecond: 100 }
      const count = async () => {
        done += 1
      }
      const working = queue.work(count, { signal: stopping.signal, pace, failed: () => {} })
      for (let at = 0; done === 0 && at < 500; at++) {
        await queue.add([{ id: `task-${at}`, urgency: 1 }]).catch(() => {})
        await wait(20)
      }
      assert.ok(done > 0, 'the worker is at work')
      await own.kill()
      if (isBack) await own.restart()
      stopping.abort()
      const late = wait(30_000, 'late', { ref: false })
      const ended = working.then(() => queue.close()).then(() => 'ended')
      assert.equal(await Promise.race([ended, late]), 'ended')
      await own.stop()
    }
  })

  test('job queue: BullMQ on Redis: where Redis hangs, what is added is refused, and a stop ends', async (context) => {
    const own = await RedisProcess.start()
    context.after(() => own.stop())
    const queue = new RedisQueue({ url: own.url, name: 'queue', failed: () => {} })
    const stopping = new AbortController()
    const done = Promise.withResolvers<void>()
    const pace = { concurrency: 1, perSecond: 100 }
    const working = queue.work(async () => done.resolve(), { signal: stopping.signal, pace, failed: () => {} })
    await queue.add([{ id: 'first', urgency: 1 }])
    await done.promise
    own.hang()
    const late = wait(30_000, 'late', { ref: false })
    const added = queue.add([{ id: 'second', urgency: 1 }]).then(
      () => 'added',
      () => 'refused',
    )
    assert.equal(await Promise.race([added, late]), 'refused')
    stopping.abort()
    const ended = working.then(() => queue.close()).then(() => 'ended')
    assert.equal(await Promise.race([ended, late]), 'ended')
  })
} else {
  test('job queue: BullMQ on Redis: NOT SHOWN, this machine has no redis-server', { skip: true }, () => {})
}
