import type { Attempt } from '#src/store/attempt.ts'
import type { View } from '#src/store/overlay.ts'
import { StoreError } from '#src/store/store.ts'
import { apply, type Target, versionstamp } from '#src/store/writes.ts'
import { commitError, type Environment } from './environment.ts'

/** What became of an attempt: it is on stable storage, or something it read has changed. */
export type Outcome = 'committed' | 'conflict'

interface Commit {
  readonly attempt: Attempt
  resolve(outcome: Outcome): void
  reject(error: unknown): void
}

/** A versionstamp has two bytes for the place in a batch; far fewer keep the writer's lock short. */
const batchMost = 4_096

/**
 * Commits attempts in batches: one LMDB write transaction and one fsync for all that wait at the same time.
 *
 * G1  an attempt is answered only after its batch's fsync.
 * G2  attempts of a batch see those before them in it: each is checked against what they changed.
 * G3  an attempt that fails (for want of space) takes no other with it: its batch is undone, and each goes alone.
 * G4  after a failed fsync nothing is written any more, by this process: what the disk holds is unknown until it is reopened.
 */
export class Committer {
  readonly #environment: Environment
  readonly #committed: () => void
  #waiting: Commit[] = []
  #running: Promise<void> | undefined
  #refusal: StoreError | undefined

  constructor(environment: Environment, committed: () => void) {
    this.#environment = environment
    this.#committed = committed
  }

  get refusal(): StoreError | undefined {
    return this.#refusal
  }

  get busy(): boolean {
    return this.#running !== undefined
  }

  commit(attempt: Attempt): Promise<Outcome> {
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal)
    return new Promise<Outcome>((resolve, reject) => {
      this.#waiting.push({ attempt, resolve, reject })
      this.#running ??= this.#run()
    })
  }

  /** Rejects what waits for another process's lock, and has become too old meanwhile; nothing of it was written. */
  expire(): void {
    this.#waiting = this.#waiting.filter((commit) => isTimely(commit))
  }

  /** Refuses all further commits, and waits for those under way. */
  async stop(): Promise<void> {
    this.#refusal ??= new StoreError('closed', 'the store is closed')
    await this.#running
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch: Commit[] = []
      try {
        // Whoever comes while another process holds the lock joins the batch: it is taken only once we have the lock.
        await this.#write(() => this.#take(batch))
      } catch (error) {
        if (!(error instanceof StoreError)) throw error
        await this.#failed(batch, error)
      }
      if (this.#refusal?.code === 'closed' && this.#refusal.cause !== undefined) this.#abandon()
    }
    this.#running = undefined
  }

  #take(batch: Commit[]): Commit[] {
    batch.push(...this.#waiting.splice(0, batchMost))
    return batch
  }

  async #write(take: () => Commit[]): Promise<void> {
    const answers: (() => void)[] = []
    try {
      await this.#environment.write((view, commit) => {
        answers.length = 0
        let index = 0
        for (const each of take()) {
          const answer = decide(each, view, commit, index)
          if (answer.applied) index++
          answers.push(answer.give)
        }
      })
    } catch (error) {
      throw commitError(error)
    }
    for (const give of answers) give()
    this.#committed()
  }

  async #failed(batch: readonly Commit[], error: StoreError): Promise<void> {
    if (error.code === 'unknown_result') {
      for (const commit of batch) commit.reject(error)
      this.#refusal = new StoreError('closed', 'the store failed to sync and must be reopened', { cause: error })
      return
    }
    const alone = batch.length === 1
    for (const commit of batch) {
      if (alone) commit.reject(error)
      else await this.#alone(commit)
    }
  }

  async #alone(commit: Commit): Promise<void> {
    if (this.#refusal?.cause !== undefined) {
      commit.reject(this.#refusal)
      return
    }
    try {
      await this.#write(() => [commit])
    } catch (error) {
      await this.#failed([commit], commitError(error))
    }
  }

  #abandon(): void {
    for (const commit of this.#waiting.splice(0)) commit.reject(this.#refusal)
  }
}

interface Answer {
  readonly applied: boolean
  give(): void
}

function decide(commit: Commit, view: Target & View, number: number, index: number): Answer {
  const { attempt } = commit
  try {
    attempt.check()
    if (!attempt.holds(view)) return { applied: false, give: () => commit.resolve('conflict') }
  } catch (error) {
    return { applied: false, give: () => commit.reject(error) }
  }
  apply(attempt.writes, view, versionstamp(number, index))
  return { applied: true, give: () => commit.resolve('committed') }
}

function isTimely(commit: Commit): boolean {
  try {
    commit.attempt.check()
    return true
  } catch (error) {
    commit.reject(error)
    return false
  }
}
