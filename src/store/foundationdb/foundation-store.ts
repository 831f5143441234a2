import { type Snapshot, type Store, StoreError, type Transaction } from '#src/store/store.ts'
import { checkKey, type Write } from '#src/store/writes.ts'
import type { Moment, World } from '#src/world.ts'
import { type Client, contractError } from './client.ts'
import { FoundationAttempt, FoundationSnapshot } from './foundation-attempt.ts'
import { type Mark, Marks } from './marks.ts'
import { errors, FdbError, mutations, type NativeTransaction, transactionOptions } from './native.ts'
import { Reads } from './reads.ts'
import { type SharedState, SharedStates } from './shared-state.ts'
import { appendedKey, seal, sealAppended, sealStamped } from './values.ts'

/** What became of one run of a body: it has a result for good, or has to run again, and why. */
type Outcome<T> = { readonly isDone: true; readonly result: T } | { readonly isDone: false; readonly error: FdbError }

/**
 * Of a body that took so many milliseconds itself, a version that is gone is the fault; of a quicker one, the cluster's, which had to recover,
 * or was slow to read or to commit.
 */
const oldAge = 4_000
/** So often a body runs again for a version that was gone: one that reads much, of a cluster that is always slow, is told that it does. */
const oldMost = 3
/** FoundationDB's errors of this hundred are refusals of what was asked for: nothing came of it. */
const isRefusal = ({ code }: FdbError): boolean => code >= 2_000 && code < 3_000

/**
 * The store in a FoundationDB cluster. Bodies read at the version that the cluster gave them; what they write is sent with the commit, in the
 * order in which it was asked for, so that a body's reads see the same as with the other drivers.
 */
export class FoundationStore implements Store {
  /** Whether it was opened for the owner that came first. */
  readonly isFirst: boolean
  readonly #world: World
  readonly #client: Client
  readonly #marks: Marks
  readonly #states: SharedStates
  readonly #commits = new Set<Promise<unknown>>()
  readonly #watching = new Set<(error: unknown) => void>()
  #closing: Promise<void> | undefined

  constructor(world: World, client: Client, isFirst = true) {
    this.isFirst = isFirst
    this.#world = world
    this.#client = client
    this.#marks = new Marks(world, client)
    this.#states = new SharedStates(world, client)
  }

  async transact<T>(body: (transaction: Transaction) => Promise<T>, since?: Moment): Promise<T> {
    this.#client.check()
    this.#marks.sweepIfDue()
    let native = this.#client.transaction()
    let state = since && (await this.#joined(native, since))
    const mark = this.#marks.take(state?.departed)
    let old = 0
    for (;;) {
      // Not released where the outcome stays unknown: a commit with the mark may still come.
      const outcome = await this.#run(native, mark, old < oldMost, body, state).catch((error: unknown) => {
        if (!(error instanceof StoreError && error.code === 'unknown_result')) this.#marks.release(mark)
        throw error
      })
      if (outcome.isDone) {
        this.#marks.release(mark)
        return outcome.result
      }
      if (state === undefined && outcome.error.code === errors.transactionTooOld) old++
      state = undefined
      try {
        native = await this.#renew(native, outcome.error)
      } catch (error) {
        this.#marks.release(mark)
        throw contractError(error)
      }
    }
  }

  /** Waits, and gives a transaction for another run. */
  async #renew(native: NativeTransaction, error: FdbError): Promise<NativeTransaction> {
    try {
      await native.onError(error.code)
      this.#client.check()
      this.#client.ready(native)
      return native
    } catch (refusal) {
      // A cluster that changed its version is for new transactions to find.
      const isSame = refusal instanceof FdbError && refusal.code === error.code
      if (!isSame || !this.#client.isRetryable(error)) throw refusal
      this.#client.check()
      return this.#client.transaction()
    }
  }

  /** The state that was read for the moment, with the transaction at its version; undefined: there is none, or it is too old. */
  async #joined(native: NativeTransaction, since: Moment): Promise<SharedState | undefined> {
    const state = this.#states.known(since)
    if (state === undefined) return undefined
    try {
      native.setReadVersion(await state.version())
      return state
    } catch (error) {
      // Whatever it was, a version of its own is asked for in its own way.
      if (error instanceof FdbError) return undefined
      throw error
    }
  }

  foresee(since: Moment, keys: readonly Uint8Array[]): void {
    if (this.#closing !== undefined) return
    const state = this.#states.of(since)
    // Whoever reads it is told.
    for (const key of keys) state.get(key).catch(() => undefined)
  }

  async snapshot<T>(body: (snapshot: Snapshot) => Promise<T>, since?: Moment): Promise<T> {
    this.#client.check()
    const reads = this.#states.of(since).visit()
    try {
      return await body(new FoundationSnapshot(this.#world, reads))
    } catch (error) {
      throw contractError(error)
    } finally {
      reads.end()
    }
  }

  async watch(key: Uint8Array, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    this.#client.check()
    checkKey(key)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const native = this.#client.watchTransaction()
    // The value at the version that is asked for now, which nothing that begins later is older than.
    this.#client.awaitBaseline(native.getReadVersion())
    const watch = native.watch(this.#client.dataKey(key), false)
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    this.#watching.add(reject)
    watch.promise.then(
      () => resolve(),
      // It may end without a change: whoever waits looks again.
      (error) => (error instanceof FdbError && this.#client.isRetryable(error) ? resolve() : reject(error)),
    )
    try {
      native.commit().then(() => native.setOption(transactionOptions.timeout, 0), reject)
      await promise
    } catch (error) {
      throw contractError(error)
    } finally {
      signal.removeEventListener('abort', abort)
      this.#watching.delete(reject)
      watch.cancel()
    }
  }

  async close(): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  async #close(): Promise<void> {
    this.#client.refuse()
    for (const reject of this.#watching) reject(new StoreError('closed', 'the store is closed'))
    await Promise.allSettled(this.#commits)
    await this.#marks.clearOwn()
    this.#client.close()
  }

  async #run<T>(
    native: NativeTransaction,
    mark: Mark,
    mayBeOld: boolean,
    body: (transaction: Transaction) => Promise<T>,
    state: SharedState | undefined,
  ): Promise<Outcome<T>> {
    const reads = new Reads(this.#world, this.#client, native, state)
    const attempt = new FoundationAttempt(this.#world, reads)
    let result: T
    try {
      result = await body(attempt)
      this.#client.check()
      attempt.check()
    } catch (error) {
      // What the body threw may come of a read that failed.
      const cause = attempt.failure instanceof FdbError ? attempt.failure : oldOrSame(error)
      // A version that was another's before is not this body's age.
      const own = state === undefined ? attempt.ownMilliseconds : 0
      if (cause instanceof FdbError && this.#mayRunAgain(cause, mayBeOld, own)) return { isDone: false, error: cause }
      throw contractError(cause)
    } finally {
      reads.end()
    }
    if (attempt.writes.length === 0) return { isDone: true, result }
    const commit = this.#commit(native, mark, mayBeOld, attempt, state !== undefined)
    this.#commits.add(commit)
    try {
      const error = await commit
      return error === undefined ? { isDone: true, result } : { isDone: false, error }
    } finally {
      this.#commits.delete(commit)
    }
  }

  /** Resolves with nothing once it is committed, or with the reason why the body has to run again. */
  async #commit(
    native: NativeTransaction,
    mark: Mark,
    mayBeOld: boolean,
    attempt: FoundationAttempt,
    isShared: boolean,
  ): Promise<FdbError | undefined> {
    const own = isShared ? 0 : attempt.ownMilliseconds
    for (const write of attempt.writes) send(write, native, this.#client)
    this.#marks.put(mark, native)
    if (this.#client.baseline !== undefined) await this.#client.baseline
    try {
      await native.commit()
      return undefined
    } catch (error) {
      if (!(error instanceof FdbError) || isRefusal(error)) throw contractError(error)
      if (this.#client.isNotCommitted(error)) {
        if (!this.#mayRunAgain(error, mayBeOld, own)) throw contractError(error)
        return error
      }
      return (await this.#marks.settle(mark)) ? undefined : error
    }
  }

  /** `own`: milliseconds that the body took itself. */
  #mayRunAgain(error: FdbError, mayBeOld: boolean, own: number): boolean {
    if (error.code === errors.transactionTooOld && (!mayBeOld || own > oldAge)) return false
    return this.#client.isRetryable(error)
  }
}

/** The limit on a body's time is kept here before FoundationDB keeps its own. */
function oldOrSame(error: unknown): unknown {
  if (!(error instanceof StoreError && error.code === 'transaction_too_old')) return error
  return new FdbError(error.message, errors.transactionTooOld)
}

function send(write: Write, native: NativeTransaction, client: Client): void {
  switch (write.kind) {
    case 'set':
      native.set(client.dataKey(write.key), seal(write.key, write.value))
      return
    case 'clear':
      native.clear(client.dataKey(write.key))
      return
    case 'clearRange':
      if (Buffer.compare(write.from, write.to) < 0) {
        native.clearRange(client.dataKey(write.from), client.dataKey(write.to))
      }
      return
    case 'add': {
      const operand = Buffer.allocUnsafe(8)
      operand.writeBigInt64LE(BigInt.asIntN(64, write.delta))
      native.atomicOp(mutations.add, client.dataKey(write.key), operand)
      return
    }
    case 'append':
      native.atomicOp(
        mutations.setVersionstampedKey,
        appendedKey(client.dataKey(write.prefix), write.order),
        sealAppended(write.prefix, write.order, write.value),
      )
      return
    case 'setStamped':
      native.atomicOp(
        mutations.setVersionstampedValue,
        client.dataKey(write.key),
        sealStamped(write.key, write.value, write.offset),
      )
  }
}
