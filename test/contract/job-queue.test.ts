import { after, before, test } from 'node:test'
import { ProcessQueue } from '#replicator/process-queue.ts'
import { RedisQueue } from '#replicator/queue.ts'
import { realWorld } from '#src/world.ts'
import { hasRedis, RedisProcess } from '../support/redis.ts'
import { jobQueueContract } from './job-queue.contract.ts'

jobQueueContract('in the process', async () => new ProcessQueue(realWorld))

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
} else {
  test('job queue: BullMQ on Redis: NOT SHOWN, this machine has no redis-server', { skip: true }, () => {})
}
