import {
  discardDeadJob,
  finishJob,
  hastenJob,
  type OutboxJob,
  readDeadJob,
  readDeadJobs,
  readJob,
  readOutbox,
  reviveJob,
} from '#src/metadata/outbox.ts'
import type { Store, Transaction } from '#src/store/store.ts'
import type { World } from '#src/world.ts'

/** A job, as people look at it. */
export interface WaitingJob extends OutboxJob {
  /** It was given up. */
  readonly isDead: boolean
}

/** Which: one, waiting or dead; else all that are dead, of one kind or of any. */
export interface ChosenJobs {
  readonly id?: string
  readonly kind?: string
}

const jobsPerPage = 500

/** The jobs of a cell, for people: listed, tried again, or forgotten. What the queue says is nothing to go by (C28). */
export class OutboxJobs {
  readonly #store: Store
  readonly #world: World

  constructor({ store, world }: { readonly store: Store; readonly world: World }) {
    this.#store = store
    this.#world = world
  }

  /** Those that wait first, oldest first. */
  async *list(isDeadOnly: boolean): AsyncGenerator<WaitingJob> {
    if (!isDeadOnly) for await (const job of this.#pages(readOutbox)) yield { ...job, isDead: false }
    for await (const job of this.#pages(readDeadJobs)) yield { ...job, isDead: true }
  }

  /** Gives how many. */
  async retry(which: ChosenJobs): Promise<number> {
    const now = this.#world.now()
    return await this.#each(which, {
      waiting: async (to, job) => hastenJob(to, job, now),
      dead: async (to, { id }) => {
        await reviveJob(to, id, now)
      },
    })
  }

  /** Gives how many. */
  async discard(which: ChosenJobs): Promise<number> {
    return await this.#each(which, {
      waiting: async (to, { id }) => finishJob(to, id),
      dead: async (to, { id }) => discardDeadJob(to, id),
    })
  }

  async *#pages(read: typeof readOutbox): AsyncGenerator<OutboxJob> {
    let after: string | undefined
    for (;;) {
      const start = after
      const page = await this.#store.snapshot((snapshot) => read(snapshot, start, jobsPerPage))
      yield* page
      after = page.at(-1)?.id
      if (after === undefined) return
    }
  }

  async #each(
    { id, kind }: ChosenJobs,
    change: Readonly<Record<'waiting' | 'dead', (to: Transaction, job: OutboxJob) => Promise<void>>>,
  ): Promise<number> {
    if (id !== undefined) return await this.#store.transact((transaction) => one(transaction, id, kind, change))
    let done = 0
    for await (const job of this.#pages(readDeadJobs)) {
      if (kind !== undefined && job.kind !== kind) continue
      done += await this.#store.transact(async (transaction) => {
        // Somebody else may be at it.
        const now = await readDeadJob(transaction, job.id)
        if (now === undefined) return 0
        await change.dead(transaction, now)
        return 1
      })
    }
    return done
  }
}

async function one(
  to: Transaction,
  id: string,
  kind: string | undefined,
  change: Readonly<Record<'waiting' | 'dead', (to: Transaction, job: OutboxJob) => Promise<void>>>,
): Promise<number> {
  const [waiting, dead] = [await readJob(to, id), await readDeadJob(to, id)]
  const job = waiting ?? dead
  if (job === undefined || (kind !== undefined && job.kind !== kind)) return 0
  await change[waiting === undefined ? 'dead' : 'waiting'](to, job)
  return 1
}
