import { createHash } from 'node:crypto'
import type { Snapshot, Transaction } from '#src/store/store.ts'
import { TupleReader } from '#src/store/tuple.ts'
import { decodeJson, encodeJson } from './json-rows.ts'
import { keys, under } from './keyspace.ts'

/**
 * Work that others may keep waiting, and that is tried until it is done.
 *
 * J2  a task is added by the transaction that asks for it, once however often it is asked for, and cleared by that of its effect:
 *     so it is done at least once, and never lost (C28, I10).
 */
export interface Task<Work = unknown> {
  /** Tasks of one lane wait for the same endpoint, or the like: what fails holds up its own lane alone. */
  readonly lane: string
  readonly id: string
  readonly work: Work
  /** Not begun before, in milliseconds since the epoch. */
  readonly due: number
  /** When it was asked for. */
  readonly since: number
  /** How often it was begun. */
  readonly attempts: number
  /** Why it was not done the last time. */
  readonly reason?: string
}

const format = 1

const encode = ({ lane: _lane, id: _id, ...rest }: Task): Uint8Array => encodeJson(format, rest)

const decode = (lane: string, id: string, bytes: Uint8Array): Task => ({
  ...decodeJson<Omit<Task, 'lane' | 'id'>>(format, bytes),
  lane,
  id,
})

/** The same for the same words. */
export const taskId = (...words: readonly (string | number)[]): string =>
  createHash('sha256').update(JSON.stringify(words)).digest('hex').slice(0, 32)

export async function readTask(from: Snapshot, lane: string, id: string): Promise<Task | undefined> {
  const bytes = await from.get(keys.task(lane, id))
  return bytes === undefined ? undefined : decode(lane, id, bytes)
}

/** Gives false, and changes nothing, where the task waits already. */
export async function addTask(to: Transaction, task: Pick<Task, 'lane' | 'id' | 'work' | 'since'>): Promise<boolean> {
  if ((await readTask(to, task.lane, task.id)) !== undefined) return false
  place(to, { ...task, due: task.since, attempts: 0 })
  return true
}

function place(to: Transaction, task: Task): void {
  to.set(keys.task(task.lane, task.id), encode(task))
  to.set(keys.taskDue(task.lane, task.due, task.id), new Uint8Array(0))
}

/** Changes a task that still waits as it was read, apart from its time; undefined where it is gone. */
export async function changeTask(
  to: Transaction,
  { lane, id }: Pick<Task, 'lane' | 'id'>,
  change: (task: Task) => Task,
): Promise<Task | undefined> {
  const before = await readTask(to, lane, id)
  if (before === undefined) return undefined
  to.clear(keys.taskDue(lane, before.due, id))
  const after = change(before)
  place(to, after)
  return after
}

/** A repeat does nothing. */
export async function endTask(to: Transaction, { lane, id }: Pick<Task, 'lane' | 'id'>): Promise<void> {
  const before = await readTask(to, lane, id)
  if (before === undefined) return
  to.clear(keys.task(lane, id))
  to.clear(keys.taskDue(lane, before.due, id))
}

/** The least lane after one, or at all, in which anything waits. */
export async function nextLane(from: Snapshot, after: string | undefined): Promise<string | undefined> {
  const all = under('taskDue', [])
  const start = after === undefined ? all.from : under('taskDue', [after]).to
  const [entry] = await from.range(start, all.to, { limit: 1 })
  return entry === undefined ? undefined : new TupleReader(entry.key, 1).text()
}

/** What is due longest first. */
export async function readDueTasks(from: Snapshot, lane: string, now: number, limit: number): Promise<readonly Task[]> {
  const entries = await from.range(under('taskDue', [lane]).from, under('taskDue', [lane, now]).to, { limit })
  const tasks = await Promise.all(
    entries.map(({ key }) => {
      const reader = new TupleReader(key, 1)
      reader.text()
      reader.integer()
      return readTask(from, lane, reader.text())
    }),
  )
  return tasks.filter((task) => task !== undefined)
}

/** All that waits, by lane and id, after one. */
export async function readTasks(
  from: Snapshot,
  after: Pick<Task, 'lane' | 'id'> | undefined,
  limit: number,
): Promise<readonly Task[]> {
  const all = under('task', [])
  const start = after === undefined ? all.from : Buffer.concat([keys.task(after.lane, after.id), Uint8Array.of(0)])
  const entries = await from.range(start, all.to, { limit })
  return entries.map(({ key, value }) => {
    const reader = new TupleReader(key, 1)
    return decode(reader.text(), reader.text(), value)
  })
}
