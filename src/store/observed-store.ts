import { Draft } from './draft.ts'
import { foreseen } from './passing.ts'
import type { Store } from './store.ts'

/** What became of a transaction. */
export interface Ended {
  readonly isCommitted: boolean
  readonly milliseconds: number
  /** How often its body began. */
  readonly runs: number
  /** Of its last run: what counts against the limit of a transaction. */
  readonly bytes: number
}

/** The same store; told of each transaction when it ended. */
export function observedStore(store: Store, now: () => number, ended: (transaction: Ended) => void): Store {
  return {
    async transact(body, since) {
      const began = now()
      let runs = 0
      let last: unknown
      let isCommitted = false
      try {
        const result = await store.transact((transaction) => {
          runs += 1
          last = transaction
          return body(transaction)
        }, since)
        isCommitted = true
        return result
      } finally {
        ended({ isCommitted, milliseconds: now() - began, runs, bytes: last instanceof Draft ? last.bytes : 0 })
      }
    },
    snapshot: (body, since) => store.snapshot(body, since),
    watch: (key, signal) => store.watch(key, signal),
    close: () => store.close(),
    ...foreseen(store),
  }
}
