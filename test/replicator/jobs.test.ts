import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { JobQueue } from '#replicator/job-queue.ts'
import { JobWorker } from '#replicator/job-worker.ts'
import type { JobKind } from '#replicator/jobs/job.ts'
import { ProcessQueue } from '#replicator/process-queue.ts'
import { RedisQueue } from '#replicator/queue.ts'
import { Relay } from '#replicator/relay.ts'
import { Fault } from '#src/errors.ts'
import { askFor, type OutboxJob, readDeadJobs, readOutbox, reviveJob } from '#src/metadata/outbox.ts'
import { MemoryStore } from '#src/store/memory/memory-store.ts'
import type { Transaction } from '#src/store/store.ts'
import { realWorld, type World } from '#src/world.ts'
import { hasRedis, RedisProcess } from '../support/redis.ts'

/** A world in which hours pass in milliseconds, so that backoff and mistrust can be waited for. */
const hasty: World = {
  ...realWorld,
  now: () => Date.now() * 1000,
  monotonic: () => performance.now() * 1000,
  sleep: (milliseconds, signal) => realWorld.sleep(Math.max(1, milliseconds / 1000), signal, { ref: true }),
}

/** A world whose time passes only while nobody works: to when the first who sleeps is to be woken. */
class SteppedWorld implements World {
  readonly #sleepers: { readonly at: number; readonly wake: () => void }[] = []
  #time = Date.now()
  #isPassing = false

  readonly randomBytes = realWorld.randomBytes
  readonly now = (): number => this.#time
  readonly monotonic = (): number => this.#time
  readonly nowMicroseconds = (): bigint => BigInt(Math.round(this.#time * 1_000))

  async sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    await new Promise<void>((wake, reject) => {
      const sleeper = { at: this.#time + milliseconds, wake }
      this.#sleepers.push(sleeper)
      signal.addEventListener('abort', () => {
        const at = this.#sleepers.indexOf(sleeper)
        if (at >= 0) this.#sleepers.splice(at, 1)
        reject(signal.reason)
      })
      if (!this.#isPassing) void this.#pass()
    })
  }

  async #pass(): Promise<void> {
    this.#isPassing = true
    while (this.#sleepers.length > 0) {
      // Turns in which whoever can go on does.
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
      const [first] = this.#sleepers.sort((a, b) => a.at - b.at).splice(0, 1)
      if (first === undefined) break
      this.#time = Math.max(this.#time, first.at)
      first.wake()
    }
    this.#isPassing = false
  }
}

const effect = Buffer.from('effect')
const read = (store: MemoryStore, limit = 1000) => store.snapshot((snapshot) => readOutbox(snapshot, undefined, limit))
const deadOf = (store: MemoryStore) => store.snapshot((snapshot) => readDeadJobs(snapshot, undefined, 100))

/** Counts in the store, in the transaction that ends the job: how often an effect was had is seen there. */
async function count(store: MemoryStore, done: (transaction: Transaction) => void): Promise<void> {
  await store.transact(async (transaction) => {
    transaction.add(effect, 1n)
    done(transaction)
  })
}

async function effects(store: MemoryStore): Promise<number> {
  const value = await store.snapshot((snapshot) => snapshot.get(effect))
  return value === undefined ? 0 : Number(Buffer.from(value).readBigInt64LE())
}

async function ask(store: MemoryStore, kind: string, howMany: number, world: World = hasty): Promise<void> {
  await store.transact(async (transaction) => {
    for (let number = 0; number < howMany; number++) askFor(transaction, { kind, payload: { number } }, world.now())
  })
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await new Promise((resolve) => setTimeout(resolve, 5))
}

interface Parts {
  readonly store: MemoryStore
  readonly queue: JobQueue
  readonly world: World
}

function start(t: TestContext, { store, queue, world }: Parts, kinds: readonly Pick<JobKind, 'name' | 'run'>[]) {
  const stopping = new AbortController()
  const reports: { readonly job: OutboxJob; readonly isGivenUp: boolean }[] = []
  const failed = (): void => {}
  const parts = { store, world, queue, failed }
  const known = new Map(kinds.map((kind) => [kind.name, { urgency: 1, attempts: 4, ...kind }]))
  const worker = new JobWorker({
    ...parts,
    kinds: known,
    pace: { concurrency: 8, perSecond: 100_000 },
    report: (job, _, isGivenUp) => reports.push({ job, isGivenUp }),
  })
  const relay = new Relay({ ...parts, urgencyOf: () => 1 })
  const running = Promise.all([relay.run(stopping.signal), worker.run(stopping.signal)])
  const stop = async (): Promise<void> => {
    stopping.abort()
    await running
  }
  t.after(stop)
  return { reports, stop }
}

const counting = (store: MemoryStore): Pick<JobKind, 'name' | 'run'> => ({
  name: 'count',
  run: (_, done) => count(store, done),
})

test('J1, Q6: jobs are done, and leave the outbox with their effect', { timeout: 120_000 }, async (t) => {
  const world = new SteppedWorld()
  const store = new MemoryStore({ world })
  await ask(store, 'count', 700, world)
  const running = start(t, { store, queue: new ProcessQueue(world), world }, [counting(store)])
  await until(async () => (await read(store)).length === 0)
  await ask(store, 'count', 5, world)
  await until(async () => (await read(store)).length === 0)
  await running.stop()
  assert.equal(await effects(store), 705)
  assert.deepEqual(running.reports, [])
})

test('Q7: a job that fails is tried again until it succeeds, or is a dead letter with its reason', {
  timeout: 120_000,
}, async (t) => {
  const world = new SteppedWorld()
  const store = new MemoryStore({ world })
  await ask(store, 'flaky', 1, world)
  await ask(store, 'broken', 1, world)
  await ask(store, 'hopeless', 1, world)
  await ask(store, 'unknown', 1, world)
  await ask(store, 'busy', 1, world)
  const attempts = new Map<string, number[]>()
  const failing = (name: string, successes: number, error: Error): Pick<JobKind, 'name' | 'run'> => ({
    name,
    run: async (job, done) => {
      const tried = [...(attempts.get(name) ?? []), job.attempts]
      attempts.set(name, tried)
      if (tried.length < successes) throw error
      await count(store, done)
    },
  })
  const running = start(t, { store, queue: new ProcessQueue(world), world }, [
    failing('flaky', 3, new Error('not yet')),
    failing('broken', 99, new Error('never')),
    failing('hopeless', 99, new Fault('NoSuchBucket')),
    failing('busy', 2, new Fault('ServiceUnavailable')),
  ])
  await until(async () => (await read(store)).length === 0)
  assert.deepEqual(attempts.get('flaky'), [0, 1, 2])
  assert.deepEqual(attempts.get('broken'), [0, 1, 2, 3])
  assert.deepEqual(attempts.get('hopeless'), [0])
  assert.deepEqual(attempts.get('busy'), [0, 1])
  const dead = await deadOf(store)
  assert.deepEqual(
    dead
      .map(({ kind, attempts: tried, reason }) => ({ kind, tried, reason }))
      .toSorted((a, b) => (a.kind < b.kind ? -1 : 1)),
    [
      { kind: 'broken', tried: 4, reason: 'never' },
      { kind: 'hopeless', tried: 1, reason: 'NoSuchBucket' },
      { kind: 'unknown', tried: 1, reason: 'No job of the kind unknown is known.' },
    ],
  )
  assert.equal(await effects(store), 2)
  // What was given up can be had again.
  const broken = dead.find(({ kind }) => kind === 'broken')?.id ?? ''
  assert.ok(await store.transact((transaction) => reviveJob(transaction, broken, world.now())))
  await until(async () => (await read(store)).length === 0)
  await running.stop()
  assert.deepEqual(attempts.get('broken'), [0, 1, 2, 3, 0, 1, 2, 3])
})

test('Q6: a queue that loses its memory, and is away for a while, loses no job', {
  timeout: 180_000,
  skip: hasRedis ? false : 'NOT SHOWN: this machine has no redis-server',
}, async (t) => {
  const redis = await RedisProcess.start()
  const store = new MemoryStore({ world: hasty })
  const queue = new RedisQueue({ url: redis.url, name: 'jobs', failed: () => {} })
  await ask(store, 'count', 400)
  let isSlow = true
  const running = start(t, { store, queue, world: hasty }, [
    {
      name: 'count',
      run: async (_, done) => {
        if (isSlow) await new Promise((resolve) => setTimeout(resolve, 20))
        await count(store, done)
      },
    },
  ])
  await until(async () => (await effects(store)) > 20)
  await redis.kill()
  isSlow = false
  await ask(store, 'count', 100)
  await redis.restart()
  await until(async () => (await read(store)).length === 0)
  await running.stop()
  await queue.close()
  await redis.stop()
  assert.deepEqual(await deadOf(store), [])
  // At least once each; the store's own count tells that most were done once.
  assert.ok((await effects(store)) >= 500)
})
