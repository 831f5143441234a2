import type { World } from '#src/world.ts'
import type { Members } from './members.ts'
import { decodeMessage, encodeMessage } from './messages.ts'
import { stoppedAfter } from './patience.ts'
import { type Method, PeerUnreachable, type Transport } from './transport.ts'

interface Pong {
  /** The peer's wall clock, in milliseconds. */
  readonly now: number
}

export interface PeerState {
  readonly isUp: boolean
  /** Milliseconds; undefined: it was never heard. */
  readonly roundTrip?: number
  /** How far its clock is ahead of ours, give or take half a round trip, in milliseconds. */
  readonly ahead?: number
}

export interface HealthOptions {
  /** Between two looks at a peer, in milliseconds. */
  readonly every: number
  /** After which a peer that does not answer counts as down, in milliseconds. */
  readonly patience: number
}

const defaults: HealthOptions = { every: 2_000, patience: 3_000 }
/** How much the newest measurement counts. */
const weight = 0.2

/** Which cells answer, and how far away they are: measured, never configured. */
export class PeerHealth {
  readonly #world: World
  readonly #transport: Transport
  readonly #members: Members
  readonly #options: HealthOptions
  readonly #states = new Map<number, PeerState>()
  #wasHeard = false
  #hearing: Promise<boolean> | undefined

  constructor(parts: {
    readonly world: World
    readonly transport: Transport
    readonly members: Members
    readonly options?: Partial<HealthOptions>
  }) {
    this.#world = parts.world
    this.#transport = parts.transport
    this.#members = parts.members
    this.#options = { ...defaults, ...parts.options }
  }

  /** Whether any cell has answered since the start. */
  get wasHeard(): boolean {
    return this.#wasHeard
  }

  /** Whether any cell has answered since the start, or answers now: all are asked, once for all who want to know. */
  async hears(): Promise<boolean> {
    if (this.#wasHeard) return true
    this.#hearing ??= this.#hearAny().finally(() => {
      this.#hearing = undefined
    })
    return await this.#hearing
  }

  /** The first answer is enough. */
  async #hearAny(): Promise<boolean> {
    const never = new AbortController().signal
    const asked = this.#members.peers.map(async ({ cell }) => {
      await this.#ping(cell, never)
      if (!this.#wasHeard) throw new PeerUnreachable(cell)
    })
    return await Promise.any(asked).then(
      () => true,
      () => false,
    )
  }

  /** Peers that were never heard count as up, so that the first request is not refused. */
  state(cell: number): PeerState {
    return this.#states.get(cell) ?? { isUp: true }
  }

  /** Those that answer first, and of them the nearest first; the rest may be tried after them. */
  nearest(cells: readonly number[]): readonly number[] {
    const rank = (cell: number): number => {
      const { isUp, roundTrip = 1e6 } = this.state(cell)
      return isUp ? roundTrip : roundTrip + 1e9
    }
    return [...cells].sort((a, b) => rank(a) - rank(b) || a - b)
  }

  /** Looks at all peers, again and again, until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.look(signal)
      await this.#world.sleep(this.#options.every, signal).catch(() => {})
    }
  }

  /** Looks at all peers once. */
  async look(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#members.peers.map(({ cell }) => this.#ping(cell, signal)))
  }

  /** A call to the peer had no answer: the next look says when it is back. */
  lost(cell: number): void {
    this.#states.set(cell, { ...this.state(cell), isUp: false })
  }

  async #ping(cell: number, signal: AbortSignal): Promise<void> {
    const began = this.#world.monotonic()
    try {
      const answer = await stoppedAfter(this.#world, this.#options.patience, signal, (inner) =>
        this.#transport.ask(cell, 'ping', new Uint8Array(0), inner),
      )
      const took = this.#world.monotonic() - began
      const { roundTrip } = this.state(cell)
      const { now } = decodeMessage<Pong>(answer)
      this.#wasHeard = true
      this.#states.set(cell, {
        isUp: true,
        roundTrip: roundTrip === undefined ? took : roundTrip + (took - roundTrip) * weight,
        ahead: now + took / 2 - this.#world.now(),
      })
    } catch {
      if (!signal.aborted) this.lost(cell)
    }
  }
}

export const pingMethod = (world: World): Method => ({
  name: 'ping',
  answer: async () => encodeMessage({ now: world.now() } satisfies Pong),
})
