import { memberOf } from '#src/model/region.ts'
import type { Store } from '#src/store/store.ts'
import type { World } from '#src/world.ts'
import { memberMethods } from './member-methods.ts'
import type { Members } from './members.ts'
import { type FollowerParts, NamespaceFollower, Replica } from './namespace-follower.ts'
import { Confirmations, NamespaceRoot } from './namespace-root.ts'
import { type HealthOptions, PeerHealth, pingMethod } from './peer-health.ts'
import { findRoot, Proclamation, promotionMethods } from './promotion.ts'
import { Routing } from './routing.ts'
import type { Method, Transport } from './transport.ts'

export interface RegionParts {
  /** Neither recorded nor guarded. */
  readonly store: Store
  readonly world: World
  readonly members: Members
  readonly transport: Transport
  /** The root's records what changes the namespace. */
  readonly recording: Store
  /** How long the root may be unheard before signed requests are refused, in milliseconds. */
  readonly staleness: number
  readonly health?: Partial<HealthOptions>
  readonly confirmPatience?: number
  readonly applying?: NonNullable<FollowerParts['applying']>
  /** Resolves once a cell that joins has what the others have, and may take requests; absent: it has. */
  readonly caughtUp?: (signal: AbortSignal) => Promise<void>
  readonly failed: (what: string, error: unknown) => void
}

/** Milliseconds. */
const beginAgain = 1_000

/** A cell among others, as one process of it: which there are, how far away, and the namespace that they share. */
export class Region {
  readonly members: Members
  readonly transport: Transport
  readonly health: PeerHealth
  readonly routing: Routing
  readonly confirmations: Confirmations
  readonly replica: Replica
  readonly follower: NamespaceFollower
  /** What this cell answers to others, of what is in this file's reach. */
  readonly methods: readonly Method[]
  readonly #parts: RegionParts
  /** Whether there were others, who could have made one of them the root, before this process began. */
  readonly #hadPeers: boolean

  constructor(parts: RegionParts) {
    const { store, recording, world, members, transport, staleness } = parts
    this.#parts = parts
    this.#hadPeers = members.peers.length > 0
    this.members = members
    this.transport = transport
    this.health = new PeerHealth({ world, transport, members, ...(parts.health && { options: parts.health }) })
    this.routing = new Routing(members, this.health)
    const patience = parts.confirmPatience === undefined ? {} : { patience: parts.confirmPatience }
    this.confirmations = new Confirmations({ store, world, members, health: this.health, ...patience })
    this.replica = new Replica({ store, world, staleness })
    const applying = parts.applying === undefined ? {} : { applying: parts.applying }
    const unheard = (): Promise<void> => findRoot({ store, world, members, transport })
    this.follower = new NamespaceFollower({ store, world, transport, members, unheard, ...applying })
    this.methods = [
      pingMethod(world),
      ...new NamespaceRoot({ store, world, members }).methods(),
      ...memberMethods(recording, members),
      ...promotionMethods({ store, world, members }),
    ]
  }

  /** What every process of a cell needs to know, kept up to date until the signal. */
  async watch(signal: AbortSignal): Promise<void> {
    await Promise.all([
      this.members.follow(this.#parts.world, signal, (error) =>
        this.#parts.failed('reading the members failed', error),
      ),
      this.health.run(signal),
    ])
  }

  /** What one process of a cell does: it follows the root, or tells others that it is the root. */
  async followRoot(signal: AbortSignal): Promise<void> {
    const follower = this.follower.run(signal, (error) => this.#parts.failed('following the root failed', error))
    await Promise.all([follower, this.#begin(signal), this.#proclaim(signal)])
  }

  async #proclaim(signal: AbortSignal): Promise<void> {
    const proclamation = new Proclamation(this.#parts)
    while (!signal.aborted) {
      await proclamation.step()
      await this.#parts.world.sleep(beginAgain, signal).catch(() => {})
    }
  }

  /**
   * A root that started among others, and has been heard by none of them since, may have been replaced meanwhile: it changes nothing
   * before one has answered (C25). Who was alone cannot have been: it changes things on while its first region is added.
   */
  get isUnsure(): boolean {
    if (!this.#hadPeers || this.health.wasHeard || !this.members.isRoot) return false
    return this.members.peers.some(({ state }) => state === 'active')
  }

  /** A cell that joins takes requests once it has what the others have (C22). */
  async #begin(signal: AbortSignal): Promise<void> {
    const { world, transport, members, caughtUp, failed } = this.#parts
    while (!signal.aborted && memberOf(members.membership, members.self.cell)?.state === 'joining') {
      try {
        await caughtUp?.(signal)
        await transport.ask(members.membership.root, 'member-active', new Uint8Array(0), signal)
        return
      } catch (error) {
        if (signal.aborted) return
        failed('beginning to serve failed', error)
        await world.sleep(beginAgain, signal).catch(() => {})
      }
    }
  }

  /** Whether keys and policies may be out of date beyond what is allowed (C24). */
  isStale(): boolean {
    return !this.members.isRoot && this.replica.isStale()
  }
}
