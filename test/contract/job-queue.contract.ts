import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { JobQueue, Pace } from '#replicator/job-queue.ts'

const fast: Pace = { concurrency: 4, perSecond: 10_000 }

/** Until it is true; the test's own limit of time is what ends it otherwise. */
async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await new Promise((resolve) => setTimeout(resolve, 5))
}

/** A worker with a handler, until it is stopped. */
function start(queue: JobQueue, handler: (id: string) => Promise<void>, pace = fast) {
  const stopping = new AbortController()
  const failures: unknown[] = []
  const failed = (error: unknown): void => {
    failures.push(error)
  }
  const running = queue.work(handler, { signal: stopping.signal, pace, failed })
  return {
    failures,
    async stop() {
      stopping.abort()
      await running
    },
  }
}

const tasks = (count: number, urgency = 1, first = 0) =>
  Array.from({ length: count }, (_, index) => ({ id: `t${first + index}`, urgency }))

/** What every queue must do. `open` gives one that is empty. */
export function jobQueueContract(name: string, open: () => Promise<JobQueue>): void {
  const withQueue = async (body: (queue: JobQueue) => Promise<void>): Promise<void> => {
    const queue = await open()
    try {
      await body(queue)
    } finally {
      await queue.close()
    }
  }

  describe(`job queue: ${name}`, { timeout: 30_000 }, () => {
    test('Q1, Q2: what is added is handed out, and once although it was added again while it waited', () =>
      withQueue(async (queue) => {
        await queue.add(tasks(50))
        await queue.add(tasks(60))
        assert.equal(await queue.waiting(), 60)
        const done: string[] = []
        const worker = start(queue, async (id) => {
          done.push(id)
        })
        await until(() => done.length >= 60)
        await worker.stop()
        assert.deepEqual(
          done.toSorted(),
          tasks(60)
            .map(({ id }) => id)
            .toSorted(),
        )
        assert.equal(await queue.waiting(), 0)
      }))

    test('Q2: what is added again while it is worked on is not handed out beside itself', () =>
      withQueue(async (queue) => {
        let begun = 0
        const finish = Promise.withResolvers<void>()
        const worker = start(queue, async () => {
          begun++
          await finish.promise
        })
        await queue.add(tasks(1))
        await until(() => begun === 1)
        await queue.add(tasks(1))
        await new Promise((resolve) => setTimeout(resolve, 100))
        assert.equal(begun, 1)
        finish.resolve()
        await worker.stop()
      }))

    test('Q3: the more urgent comes first, and then what was added first', () =>
      withQueue(async (queue) => {
        await queue.add(tasks(5, 9, 0))
        await queue.add(tasks(5, 0, 10))
        await queue.add(tasks(5, 9, 20))
        const done: string[] = []
        const worker = start(
          queue,
          async (id) => {
            done.push(id)
          },
          { concurrency: 1, perSecond: 10_000 },
        )
        await until(() => done.length === 15)
        await worker.stop()
        const expected = [...tasks(5, 0, 10), ...tasks(5, 9, 0), ...tasks(5, 9, 20)].map(({ id }) => id)
        assert.deepEqual(done, expected)
      }))

    test('Q4: no more is in hand at once, and no more begun a second, than the pace says', () =>
      withQueue(async (queue) => {
        await queue.add(tasks(30))
        let inHand = 0
        let most = 0
        const begun: number[] = []
        const worker = start(
          queue,
          async () => {
            begun.push(performance.now())
            most = Math.max(most, ++inHand)
            await new Promise((resolve) => setTimeout(resolve, 20))
            inHand--
          },
          { concurrency: 3, perSecond: 20 },
        )
        await until(() => begun.length === 30)
        await worker.stop()
        assert.ok(most <= 3, `${most} at once`)
        // Thirty at twenty a second: the last begins in the second window at the earliest.
        assert.ok((begun.at(-1) ?? 0) - (begun[0] ?? 0) >= 400, 'the pace was kept')
      }))

    test('Q5: a task that failed, and one that succeeded, are handed out again when they are added again', () =>
      withQueue(async (queue) => {
        const done: string[] = []
        const worker = start(queue, async (id) => {
          done.push(id)
          if (id === 't0') throw new Error('as it should')
        })
        for (const round of [1, 2, 3]) {
          await until(async () => {
            await queue.add(tasks(2))
            return (
              done.filter((each) => each === 't0').length >= round &&
              done.filter((each) => each === 't1').length >= round
            )
          })
        }
        await worker.stop()
        assert.ok(worker.failures.length >= 3)
      }))

    test('a worker that stops waits for what it has in hand', () =>
      withQueue(async (queue) => {
        let isDone = false
        let isBegun = false
        const worker = start(queue, async () => {
          isBegun = true
          await new Promise((resolve) => setTimeout(resolve, 100))
          isDone = true
        })
        await queue.add(tasks(1))
        await until(() => isBegun)
        await worker.stop()
        assert.ok(isDone)
      }))
  })
}
