import { type ClusterRecords, readSelf, type Self, setSelf } from '#src/metadata/cluster-records.ts'
import { clusterKey } from '#src/metadata/namespace-keys.ts'
import { type Member, type Membership, memberOf } from '#src/model/region.ts'
import type { Store } from '#src/store/store.ts'
import type { World } from '#src/world.ts'

export interface MembersParts {
  readonly store: Store
  readonly records: ClusterRecords
  readonly self: Self
  readonly membership: Membership
}

/** After a reading that failed. */
const againMilliseconds = 1_000

/** The cells there are, as this process last saw them: a call costs nothing, and is late by milliseconds at most. */
export class Members {
  readonly #store: Store
  readonly #records: ClusterRecords
  #self: Self
  #membership: Membership
  /** How many were begun, and which of them is shown. */
  #readings = 0
  #shown = 0

  constructor({ store, records, self, membership }: MembersParts) {
    this.#store = store
    this.#records = records
    this.#self = self
    this.#membership = membership
  }

  get membership(): Membership {
    return this.#membership
  }

  get self(): Self {
    return this.#self
  }

  get isRoot(): boolean {
    return this.#membership.root === this.#self.cell
  }

  /** Takes requests of clients itself: one that joins or leaves has others do it, one that was removed does nothing. */
  get isServing(): boolean {
    return this.#self.isRemoved !== true && memberOf(this.#membership, this.#self.cell)?.state === 'active'
  }

  /** No member any more, for good (C16). */
  get isRemoved(): boolean {
    return this.#self.isRemoved === true || memberOf(this.#membership, this.#self.cell)?.state === 'removed'
  }

  /** The cells to talk to. */
  get peers(): readonly Member[] {
    return this.#membership.members.filter(({ cell, state }) => cell !== this.#self.cell && state !== 'removed')
  }

  /** Reads what the store has now. */
  async refresh(): Promise<void> {
    const reading = ++this.#readings
    const { membership, self } = await this.#store.snapshot(async (snapshot) => ({
      membership: await this.#records.membership(snapshot),
      self: await readSelf(snapshot),
    }))
    // One that began later saw no less.
    if (reading < this.#shown) return
    this.#shown = reading
    if (membership !== undefined) this.#membership = membership
    if (self !== undefined) this.#self = self
  }

  /** Keeps up with changes until the signal; a reading that fails is told, and tried again. */
  async follow(world: Pick<World, 'sleep'>, signal: AbortSignal, failed: (error: unknown) => void): Promise<void> {
    while (!signal.aborted) {
      // First the watch, then the look: a change between both is not missed.
      const changed = this.#store.watch(clusterKey, signal)
      // What it rejects with is seen below; without this, a look that fails first would leave it alone.
      changed.catch(() => {})
      try {
        await this.refresh()
        await changed
      } catch (error) {
        if (signal.aborted) return
        failed(error)
        await world.sleep(againMilliseconds, signal).catch(() => {})
      }
    }
  }

  /** A peer said that this cell was removed; remembered over restarts. */
  async wasRemoved(): Promise<void> {
    if (this.#self.isRemoved === true) return
    const removed: Self = { ...this.#self, isRemoved: true }
    this.#self = removed
    await this.#store.transact(async (transaction) => setSelf(transaction, removed))
  }
}
