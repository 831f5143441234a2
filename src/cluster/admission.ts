import { type Membership, memberOf } from '#src/model/region.ts'
import { type Caller, PeerUnreachable } from './transport.ts'

/** What every call between cells says of who makes it. */
export interface Asking {
  readonly cell: number
  readonly incarnation: string
  /** Of the membership that the caller knows. */
  readonly epoch: number
}

/**
 * Why a call is not listened to. `removed` is for good: who is told so serves nothing more. `forgotten`, as only the root says it: it has
 * no such member, and knows no less of them than the caller does.
 */
export type Refusal = 'removed' | 'reborn' | 'unknown' | 'forgotten'

/** A peer answered, and does not listen. */
export class Refused extends Error {
  readonly refusal: Refusal

  constructor(refusal: Refusal) {
    super(`the peer refused this cell: ${refusal}`)
    this.refusal = refusal
  }
}

/** Of a call that failed: why it fails however often it is made. Undefined: it may be listened to later. */
export function finalRefusal(error: unknown): 'removed' | 'forgotten' | undefined {
  if (!(error instanceof PeerUnreachable) || !(error.cause instanceof Refused)) return undefined
  const { refusal } = error.cause
  return refusal === 'removed' || refusal === 'forgotten' ? refusal : undefined
}

/** Who asks, or why nobody answers (C16). One that we do not know yet may be newer than what we know: it asks again. */
export function admit(membership: Membership, { cell, incarnation }: Asking): Caller | Refusal {
  const member = memberOf(membership, cell)
  if (member === undefined) return 'unknown'
  if (member.state === 'removed') return 'removed'
  if (member.incarnation !== incarnation) return 'reborn'
  return { cell, region: member.region, incarnation }
}
