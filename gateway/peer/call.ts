import type { Asking } from '#src/cluster/admission.ts'
import type { World } from '#src/world.ts'
import { type ClusterSecret, type MessageId, readMessageId, writeMessageId } from './sealing.ts'

/** What stands in the headers of calls between cells. */
export const callHeader = 'x-meridian-call'
export const answerHeader = 'x-meridian-answer'
/** The span of whoever calls, as `traceparent` has it: clients may sign that, and so it stays as they sent it. */
export const traceHeader = 'x-meridian-trace'

/** How far the clocks of two cells may be apart, in milliseconds; also how long a recorded call could be repeated. */
const apartMost = 60_000

export interface Call extends Asking {
  /** The cell that is asked. */
  readonly target: number
  /** Milliseconds since the epoch, by the caller's clock. */
  readonly time: number
  readonly id: MessageId
}

export interface Calling {
  readonly secret: ClusterSecret
  readonly world: World
}

export const newCall = ({ secret, world }: Calling, asking: Asking, target: number): Call => ({
  ...asking,
  target,
  time: Math.round(world.now()),
  id: secret.nextId(),
})

export const writeCall = ({ cell, incarnation, epoch, target, time, id }: Call): string =>
  [2, cell, incarnation, epoch, target, time, writeMessageId(id)].join(' ')

const form = /^2 (\d{1,3}) ([0-9a-f]{32}) (\d{1,15}) (\d{1,3}) (\d{1,15}) ([0-9a-f ]{1,42})$/

export function readCall(text: string | undefined): Call | undefined {
  const match = form.exec(text ?? '')
  if (match === null) return undefined
  const [, cell, incarnation = '', epoch, target, time, named = ''] = match
  const id = readMessageId(named)
  if (id === undefined) return undefined
  return {
    cell: Number(cell),
    incarnation,
    epoch: Number(epoch),
    target: Number(target),
    time: Number(time),
    id,
  }
}

/**
 * Calls that were taken already.
 *
 * Y9  a call is taken once by a process, and by none once its time is over.
 */
export class SeenCalls {
  readonly #world: World
  #young = new Set<string>()
  #old = new Set<string>()
  #turned: number

  constructor(world: World) {
    this.#world = world
    this.#turned = world.monotonic()
  }

  /** Whether it is in time and new; it is not new afterwards. */
  take({ time, id }: Call): boolean {
    if (Math.abs(this.#world.now() - time) > apartMost) return false
    // One of the future may come twice as late.
    if (this.#world.monotonic() - this.#turned > 2 * apartMost) {
      this.#old = this.#young
      this.#young = new Set()
      this.#turned = this.#world.monotonic()
    }
    const name = writeMessageId(id)
    if (this.#young.has(name) || this.#old.has(name)) return false
    this.#young.add(name)
    return true
  }
}
