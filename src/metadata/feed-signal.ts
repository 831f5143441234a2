import { PassingTransaction, passedOn } from '#src/store/passing.ts'
import { type Store, type Transaction, versionstampBytes } from '#src/store/store.ts'
import { keys, subspace } from './keyspace.ts'

/**
 * F2  whatever is appended to the feed changes one row in the same transaction: whoever waits for the feed watches that.
 */
class SignallingTransaction extends PassingTransaction {
  #hasSignalled = false

  override append(prefix: Uint8Array, value: Uint8Array): number {
    if (prefix[0] === subspace.feed && !this.#hasSignalled) {
      this.#hasSignalled = true
      // Written without being read: those who signal at the same time do not conflict.
      super.setStamped(keys.feedSignal, new Uint8Array(versionstampBytes), 0)
    }
    return super.append(prefix, value)
  }
}

/** The store of a cell that others follow (F2). */
export const signalFeed = (store: Store): Store => ({
  ...passedOn(store),
  transact: (body, since) =>
    store.transact((transaction: Transaction) => body(new SignallingTransaction(transaction)), since),
})

/** Resolves once something was appended since the call; rejects with the signal's reason. */
export const watchFeed = (store: Store, signal: AbortSignal): Promise<void> => store.watch(keys.feedSignal, signal)
