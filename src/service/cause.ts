import type { Caller } from '#src/model/identity.ts'

/** The request that changes something, as far as events tell of it. */
export interface Cause {
  readonly id: string
  readonly caller: Caller
  readonly remoteAddress: string
}
