import { readBacklog, readGivenUp } from '#src/metadata/backlog.ts'
import { type OutboxJob, readDeadJobs, readOutbox } from '#src/metadata/outbox.ts'
import { readTasks, type Task } from '#src/metadata/task-records.ts'
import type { Store } from '#src/store/store.ts'

/** A job or a task, without what it is about: that may be a key that who looks may not know. */
interface ShownWork {
  readonly id: string
  readonly kind: string
  /** When it was asked for, and when it is next tried; milliseconds since the epoch. */
  readonly since: number
  readonly due: number
  readonly attempts: number
  readonly reason: string
}

export interface Work {
  /** By kind, up to some ten thousand. */
  readonly waiting: Readonly<Record<string, number>>
  readonly givenUp: Readonly<Record<string, number>>
  readonly jobs: readonly ShownWork[]
  readonly tasks: readonly ShownWork[]
  /** Jobs that were given up. */
  readonly dead: readonly ShownWork[]
}

const shownJob = ({ id, kind, added, due, attempts, reason }: OutboxJob): ShownWork => ({
  id,
  kind,
  since: added,
  due,
  attempts,
  reason,
})

const shownTask = ({ id, lane, since, due, attempts, reason }: Task): ShownWork => ({
  id,
  kind: lane,
  since,
  due,
  attempts,
  reason: reason ?? '',
})

/** What goes on beside requests in this cell: what waits, and what was given up. */
export class WorkList {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  /** The oldest ones of each, `limit` at most. */
  async list(limit: number): Promise<Work> {
    return await this.#store.snapshot(async (snapshot) => ({
      waiting: Object.fromEntries(await readBacklog(snapshot)),
      givenUp: Object.fromEntries(await readGivenUp(snapshot)),
      jobs: (await readOutbox(snapshot, undefined, limit)).map(shownJob),
      tasks: (await readTasks(snapshot, undefined, limit)).map(shownTask),
      dead: (await readDeadJobs(snapshot, undefined, limit)).map(shownJob),
    }))
  }
}
