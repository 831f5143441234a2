import { type Membership, memberOf } from '#src/model/region.ts'
import type { Caller } from './transport.ts'

/** What every call between cells says of who makes it. */
export interface Asking {
  readonly cell: number
  readonly incarnation: string
  /** Of the membership that the caller knows. */
  readonly epoch: number
}

/** Why a call is not listened to. `removed` is for good: who is told so serves nothing more. */
export type Refusal = 'removed' | 'reborn' | 'unknown'

/** Who asks, or why nobody answers (C16). One that we do not know yet may be newer than what we know: it asks again. */
export function admit(membership: Membership, { cell, incarnation }: Asking): Caller | Refusal {
  const member = memberOf(membership, cell)
  if (member === undefined) return 'unknown'
  if (member.state === 'removed') return 'removed'
  if (member.incarnation !== incarnation) return 'reborn'
  return { cell, region: member.region, incarnation }
}
