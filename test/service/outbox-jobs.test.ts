import assert from 'node:assert/strict'
import { test } from 'node:test'
import { askFor, buryJob, postponeJob, readOutbox } from '#src/metadata/outbox.ts'
import { OutboxJobs, type WaitingJob } from '#src/service/outbox-jobs.ts'
import { MemoryStore } from '#src/store/memory/memory-store.ts'
import { realWorld } from '#src/world.ts'

const hour = 3_600_000

/** One that waits, one that failed and waits for an hour, and three that were given up. */
async function open() {
  const store = new MemoryStore({ world: realWorld })
  const jobs = new OutboxJobs({ store, world: realWorld })
  const now = realWorld.now()
  for (const kind of ['new', 'late', 'dead', 'dead', 'buried']) {
    await store.transact(async (transaction) => askFor(transaction, { kind, payload: { of: kind } }, now))
  }
  for (const job of await store.snapshot((snapshot) => readOutbox(snapshot, undefined, 10))) {
    await store.transact(async (transaction) => {
      if (job.kind === 'late') postponeJob(transaction, job, 'it was away', now + hour)
      if (job.kind === 'dead' || job.kind === 'buried') buryJob(transaction, job, 'it is gone')
    })
  }
  const all = async (): Promise<readonly WaitingJob[]> => {
    const found: WaitingJob[] = []
    for await (const job of jobs.list(false)) found.push(job)
    return found
  }
  const idOf = async (kind: string): Promise<string> => (await all()).find((each) => each.kind === kind)?.id ?? ''
  return { jobs, all, idOf, now }
}

test('C28: jobs are listed with why they failed, those that wait before those that were given up', async () => {
  const { all, jobs } = await open()
  assert.deepEqual(
    (await all()).map(({ kind, isDead, attempts, reason }) => [kind, isDead, attempts, reason]),
    [
      ['new', false, 0, ''],
      ['late', false, 1, 'it was away'],
      ['dead', true, 1, 'it is gone'],
      ['dead', true, 1, 'it is gone'],
      ['buried', true, 1, 'it is gone'],
    ],
  )
  const dead: string[] = []
  for await (const { kind } of jobs.list(true)) dead.push(kind)
  assert.deepEqual(dead, ['dead', 'dead', 'buried'])
})

test('C28: what was given up is tried again, all of it, of a kind, or one; what waits is due at once', async () => {
  const { jobs, all, idOf, now } = await open()
  assert.equal(await jobs.retry({ kind: 'dead' }), 2)
  assert.equal(await jobs.retry({ id: await idOf('late') }), 1)
  assert.deepEqual(
    (await all()).map(({ kind, isDead, due }) => [kind, isDead, due < now + hour]),
    [
      ['new', false, true],
      ['late', false, true],
      ['dead', false, true],
      ['dead', false, true],
      ['buried', true, true],
    ],
  )
  assert.equal(await jobs.retry({}), 1)
  assert.equal((await all()).filter(({ isDead }) => isDead).length, 0)
  assert.equal(await jobs.retry({ id: 'ffffffffffffffffffffffff' }), 0)
})

test('C28: what is forgotten is not listed any more, and nothing else goes', async () => {
  const { jobs, all, idOf } = await open()
  assert.equal(await jobs.discard({ id: await idOf('new') }), 1)
  assert.equal(await jobs.discard({ id: await idOf('late'), kind: 'other' }), 0)
  assert.equal(await jobs.discard({ kind: 'buried' }), 1)
  assert.deepEqual(
    (await all()).map(({ kind }) => kind),
    ['late', 'dead', 'dead'],
  )
  assert.equal(await jobs.discard({}), 2)
  assert.deepEqual(
    (await all()).map(({ kind }) => kind),
    ['late'],
  )
})
