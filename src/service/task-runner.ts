import { changeTask, nextLane, readDueTasks, type Task } from '#src/metadata/task-records.ts'
import type { Store } from '#src/store/store.ts'
import type { World } from '#src/world.ts'

/** Tasks under way at once: in all; of one lane that gets on, that nobody knows of yet, that failed the last time. */
const most = { all: 8, working: 4, unknown: 2, failing: 1 } as const
/** Who claimed a task and died loses it after this; who lives says so well before. */
const leaseMilliseconds = 15_000
const renewMilliseconds = 5_000
const firstPauseMilliseconds = 1_000
const longestPauseMilliseconds = 20 * 60 * 1000
/** Of a lane that fails, whatever waits in it. */
const firstRestMilliseconds = 200
const longestRestMilliseconds = 30_000
/** After a trouble of our own. */
const troubleMilliseconds = 5_000
const lookMilliseconds = 200

export interface TaskRunnerParts {
  readonly store: Store
  readonly world: World
  /** Whether there is anybody to do the tasks of a lane; the others wait. */
  readonly serves: (lane: string) => boolean
  /** Does a task, and ends it in the transaction of its effect. Rejects where it is to be tried again. */
  readonly perform: (task: Task, signal: AbortSignal) => Promise<void>
  /** What a failure is told as; no secrets. */
  readonly words: (error: unknown) => string
  readonly report: (event: TaskFailure) => void
  readonly failed: (error: unknown) => void
}

export interface TaskFailure {
  readonly lane: string
  readonly kind: string
  readonly attempts: number
  readonly reason: string
}

/** How it goes with one lane. */
interface Lane {
  running: number
  state: 'working' | 'unknown' | 'failing'
  failures: number
  restsUntil: number
}

/**
 * Does tasks until they are done.
 *
 * J3  a task that failed is tried again, later and later, without end, and says why it waits; a lane that fails holds up no other.
 */
export class TaskRunner {
  readonly #parts: TaskRunnerParts
  readonly #lanes = new Map<string, Lane>()
  readonly #running = new Set<Promise<void>>()
  /** Where the last look ended, so that all lanes have their turn. */
  #last: string | undefined
  #wake: () => void = () => {}

  constructor(parts: TaskRunnerParts) {
    this.#parts = parts
  }

  /** Until the signal; one process of a node at a time is enough, several do no harm. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if ((await this.look(signal)) === 0) await this.#pause(signal)
      } catch (error) {
        this.#parts.failed(error)
        await this.#parts.world.sleep(troubleMilliseconds, signal).catch(() => undefined)
      }
    }
    await this.settled()
  }

  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  async #pause(signal: AbortSignal): Promise<void> {
    const woken = new AbortController()
    this.#wake = () => woken.abort()
    await this.#parts.world.sleep(lookMilliseconds, AbortSignal.any([signal, woken.signal])).catch(() => undefined)
  }

  /** Begins what is due, of each lane as much as it may have under way; gives how many tasks it began. */
  async look(signal: AbortSignal): Promise<number> {
    const { store } = this.#parts
    let after = this.#last
    let begun = 0
    const seen = new Set<string>()
    while (this.#running.size < most.all && !signal.aborted) {
      const start = after
      const lane = await store.snapshot((snapshot) => nextLane(snapshot, start))
      if (lane === undefined) {
        after = undefined
        if (start === undefined) break
        continue
      }
      if (seen.has(lane)) break
      seen.add(lane)
      if (this.#parts.serves(lane)) begun += await this.#beginDue(lane, signal)
      after = lane
    }
    this.#last = after
    return begun
  }

  async #beginDue(name: string, signal: AbortSignal): Promise<number> {
    const lane = this.#lanes.get(name) ?? { running: 0, state: 'unknown', failures: 0, restsUntil: 0 }
    const room = Math.min(most[lane.state] - lane.running, most.all - this.#running.size)
    if (room <= 0 || this.#parts.world.now() < lane.restsUntil) return 0
    const claimed = await this.#claim(name, room)
    if (claimed.length > 0) this.#lanes.set(name, lane)
    for (const task of claimed) {
      lane.running++
      const performing = this.#perform(task, lane, signal)
        .catch(this.#parts.failed)
        .finally(() => {
          lane.running--
          if (lane.running === 0 && lane.state !== 'failing') this.#lanes.delete(name)
          this.#running.delete(performing)
          this.#wake()
        })
      this.#running.add(performing)
    }
    return claimed.length
  }

  async #claim(lane: string, limit: number): Promise<readonly Task[]> {
    const { store, world } = this.#parts
    const now = world.now()
    const due = await store.snapshot((snapshot) => readDueTasks(snapshot, lane, now, limit))
    if (due.length === 0) return []
    return await store.transact(async (transaction) => {
      const claimed: Task[] = []
      for (const task of due) {
        const taken = await changeTask(transaction, task, (placed) =>
          placed.due > now ? placed : { ...placed, due: now + leaseMilliseconds, attempts: placed.attempts + 1 },
        )
        if (taken !== undefined && taken.attempts === task.attempts + 1) claimed.push(taken)
      }
      return claimed
    })
  }

  async #perform(task: Task, lane: Lane, signal: AbortSignal): Promise<void> {
    const renewing = new AbortController()
    const renewed = this.#renew(task, renewing.signal)
    try {
      await this.#parts.perform(task, signal)
      lane.state = 'working'
      lane.failures = 0
      lane.restsUntil = 0
    } catch (error) {
      renewing.abort()
      await renewed
      await this.#putBack(task, lane, error, signal)
    } finally {
      renewing.abort()
      await renewed
    }
  }

  /** Keeps others from taking a task that takes long. */
  async #renew(task: Task, signal: AbortSignal): Promise<void> {
    const { store, world, failed } = this.#parts
    let mine = task.due
    while (!signal.aborted) {
      await world.sleep(renewMilliseconds, signal).catch(() => undefined)
      if (signal.aborted) return
      const due = world.now() + leaseMilliseconds
      // Whoever gave it another time has ended this.
      const renewed = await store
        .transact((transaction) => changeTask(transaction, task, (now) => (now.due === mine ? { ...now, due } : now)))
        .catch(failed)
      if (renewed?.due === due) mine = due
    }
  }

  async #putBack(task: Task, lane: Lane, error: unknown, signal: AbortSignal): Promise<void> {
    const { store, world, words, report } = this.#parts
    // The process ends: the next one does it, as if it had not been begun.
    if (signal.aborted) {
      await store.transact((transaction) =>
        changeTask(transaction, task, (now) => ({ ...now, due: world.now(), attempts: task.attempts - 1 })),
      )
      return
    }
    const reason = words(error)
    lane.state = 'failing'
    lane.restsUntil =
      world.now() + Math.min(longestRestMilliseconds, firstRestMilliseconds * 2 ** Math.min(lane.failures++, 30))
    const due = world.now() + this.#pauseAfter(task.attempts)
    await store.transact((transaction) => changeTask(transaction, task, (now) => ({ ...now, due, reason })))
    const { kind } = task.work as { readonly kind?: string }
    report({ lane: task.lane, kind: kind ?? '', attempts: task.attempts, reason })
  }

  /** Twice as long each time, less up to a half by chance, so that what failed at once does not come back at once. */
  #pauseAfter(attempts: number): number {
    const whole = Math.min(longestPauseMilliseconds, firstPauseMilliseconds * 2 ** Math.min(attempts - 1, 30))
    const [chance = 0] = this.#parts.world.randomBytes(1)
    return Math.round(whole * (1 - chance / 512))
  }
}
