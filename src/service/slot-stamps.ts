import { nextStamp, type Stamp } from '#src/model/stamp.ts'
import type { ObjectVersion } from '#src/model/version.ts'
import type { Foundation } from './foundation.ts'

/** Of a change of what a version carries: slots have clocks of their own, the content's stamp does not move with them (C11). */
export function slotStamp(
  { world, cell, clock }: Pick<Foundation, 'world' | 'cell' | 'clock'>,
  { stamp, tags, acl, hold, retention, moved }: ObjectVersion,
): Stamp {
  clock?.check()
  const seen = [stamp, tags?.stamp ?? 0n, acl.stamp, hold?.stamp ?? 0n, retention?.stamp ?? 0n, moved ?? 0n]
  const largest = seen.reduce((most, each) => (each > most ? each : most))
  return nextStamp(world.nowMicroseconds(), largest, cell)
}
