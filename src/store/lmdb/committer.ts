import type { Attempt } from '#src/store/attempt.ts'
import type { View } from '#src/store/overlay.ts'
import { StoreError } from '#src/store/store.ts'
import { apply, type Target, versionstamp } from '#src/store/writes.ts'
import type { Environment } from './environment.ts'

/** What became of an attempt: it is on stable storage, or something it read has changed. */
export type Outcome = 'committed' | 'conflict'

interface Commit {
  readonly attempt: Attempt
  resolve(outcome: Outcome): void
  reject(error: unknown): void
}

/** A versionstamp has two bytes for the place in a batch; far fewer keep the writer's lock short. */
const batchMost = 4_096
/** LMDB keeps a batch's pages in memory until the commit. */
const batchBytes = 32_000_000

/**
 * Commits attempts in batches: one LMDB write transaction and one fsync for all that wait at the same time.
 *
 * G1  an attempt is answered only after its batch's fsync.
 * G2  attempts of a batch see those before them in it: each is checked against what they changed.
 * G3  an attempt that fails (for want of space, or at a corrupt value) takes no other with it: its batch is undone, and each goes alone.
 * G4  after a failed fsync nothing is written any more, by this process: what the disk holds is unknown until it is reopened.
 */
export class Committer {
  readonly #environment: Environment
  readonly #committed: () => void
  readonly #broken: (error: unknown) => void
  #waiting: Commit[] = []
  #running: Promise<void> | undefined
  #refusal: StoreError | undefined

  constructor(environment: Environment, committed: () => void, broken: (error: unknown) => void) {
    this.#environment = environment
    this.#committed = committed
    this.#broken = broken
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
    this.#waiting = this.#waiting.filter(isTimely)
  }

  /** Refuses all further commits, and waits for those under way. */
  async stop(): Promise<void> {
    this.#refusal ??= new StoreError('closed', 'the store is closed')
    await this.#running
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch: Commit[] = []
      // Whoever comes while another process holds the lock joins the batch: it is taken only once we have the lock.
      const error = await this.#write(() => {
        batch.push(...this.#take())
        return batch
      })
      if (error === undefined) continue
      if (isFatal(error)) this.#break(batch, error)
      else await this.#retryAlone(batch)
    }
    this.#running = undefined
  }

  #take(): Commit[] {
    let bytes = 0
    const end = this.#waiting.findIndex(({ attempt }, index) => {
      bytes += attempt.bytes
      return index === batchMost || (index > 0 && bytes > batchBytes)
    })
    return this.#waiting.splice(0, end < 0 ? this.#waiting.length : end)
  }

  /** Gives everybody taken an answer, unless the commit fails: then it returns why, and nobody has one. */
  async #write(take: () => readonly Commit[]): Promise<unknown> {
    const answers: (() => void)[] = []
    try {
      await this.#environment.write((view, commit) => {
        let index = 0
        for (const each of take()) {
          const { applied, give } = decide(each, view, versionstamp(commit, index))
          if (applied) index++
          answers.push(give)
        }
      })
    } catch (error) {
      return error instanceof StoreError
        ? error
        : new StoreError('unknown_result', 'the commit failed', { cause: error })
    }
    for (const give of answers) give()
    this.#committed()
    return undefined
  }

  async #retryAlone(batch: readonly Commit[]): Promise<void> {
    for (const commit of batch) {
      const error = this.#refusal?.cause === undefined ? await this.#write(() => [commit]) : this.#refusal
      if (error === undefined) continue
      if (isFatal(error)) this.#break([commit], error)
      else commit.reject(error)
    }
  }

  #break(batch: readonly Commit[], error: unknown): void {
    this.#refusal = new StoreError('closed', 'a commit failed, so the store must be opened again', { cause: error })
    for (const commit of batch) commit.reject(error)
    for (const commit of this.#waiting.splice(0)) commit.reject(this.#refusal)
    this.#broken(error)
  }
}

interface Answer {
  readonly applied: boolean
  give(): void
}

function decide(commit: Commit, view: Target & View, stamp: Uint8Array): Answer {
  const { attempt } = commit
  try {
    attempt.check()
    if (!attempt.holds(view)) return { applied: false, give: () => commit.resolve('conflict') }
  } catch (error) {
    return { applied: false, give: () => commit.reject(error) }
  }
  apply(attempt.writes, view, stamp)
  return { applied: true, give: () => commit.resolve('committed') }
}

function isFatal(error: unknown): boolean {
  return error instanceof StoreError && error.code === 'unknown_result'
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
