import { admitRegion, beReborn, changeMember, dismiss, settle } from '#src/cluster/founding.ts'
import { Fault } from '#src/errors.ts'
import { beginSharing } from '#src/metadata/blob-records.ts'
import { ClusterRecords, setSelf } from '#src/metadata/cluster-records.ts'
import { keys } from '#src/metadata/keyspace.ts'
import { Namespace } from '#src/metadata/namespace.ts'
import { decodeRow } from '#src/metadata/namespace-codec.ts'
import { governNamespace, NotTheRoot } from '#src/metadata/namespace-feed.ts'
import { clusterKey } from '#src/metadata/namespace-keys.ts'
import { type Member, type Membership, memberOf } from '#src/model/region.ts'
import type { View } from '#src/store/overlay.ts'
import { type Store, StoreError } from '#src/store/store.ts'
import type { Write } from '#src/store/writes.ts'
import { Violation } from './births.ts'
import { buckets } from './content.ts'
import { isLater } from './fate.ts'
import { rowOf } from './places.ts'
import type { Region } from './region.ts'
import type { Roster, RosterListener } from './roster.ts'
import type { Timeline } from './timeline.ts'

export interface RowsRosterParts extends RosterListener {
  readonly regions: readonly Region[]
  readonly timeline: Timeline
  readonly failed: (error: unknown) => void
}

const decoded = new WeakMap<Uint8Array, Membership>()
const pauseMilliseconds = 300

/** What a store says of the members; undefined: it is no cell's yet. */
function membershipIn(view: View): Membership | undefined {
  const row = view.get(clusterKey)
  if (row === undefined) return undefined
  const membership = decoded.get(row) ?? decodeRow<Membership>(row)
  decoded.set(row, membership)
  return membership
}

const isSame = (one: Uint8Array, other: Uint8Array): boolean => Buffer.compare(one, other) === 0

/**
 * A membership that is in the root's store, and in all others as they hear of it; the root may become another one. Sees to it that
 * there is never more than one root, and that a new one knows all that any other cell knows (Y16, Y17).
 */
export class RowsRoster implements Roster {
  readonly isByRows = true
  readonly #parts: RowsRosterParts
  readonly #first: Membership
  #membership: Membership

  constructor(members: readonly Member[], parts: RowsRosterParts) {
    this.#parts = parts
    this.#first = { epoch: 1, root: 1, members }
    this.#membership = this.#first
  }

  get membership(): Membership {
    return this.#membership
  }

  knownIn(view: View): Membership {
    return membershipIn(view) ?? this.#first
  }

  async prepare({ member, store }: Region): Promise<void> {
    if (!this.#first.members.includes(member)) return
    await store.transact(async (transaction) => {
      setSelf(transaction, member)
      new ClusterRecords().setMembership(transaction, this.#first)
    })
  }

  async join(region: Region): Promise<void> {
    const { region: code, geography, peer, incarnation } = region.member
    const request = { region: code, geography, peer, incarnation }
    await this.#atRoot(async (store) => {
      const answer = await admitRegion(store, new Namespace(), request)
      const { cell } = answer
      region.member = { ...region.member, cell, state: 'joining' }
      await settle(region.store, request, answer)
      await region.store.transact((transaction) => beginSharing(transaction, { region: code, cell }))
    })
    region.start()
  }

  async leave({ member }: Region): Promise<void> {
    await this.#atRoot((store) => changeMember(store, member.cell, (each) => ({ ...each, state: 'leaving' })))
  }

  async remove({ member }: Region): Promise<void> {
    await this.#atRoot((store) => dismiss(store, new Namespace(), member.cell))
  }

  async rename(region: Region): Promise<void> {
    region.isHeld = true
    const { member, store } = region
    const { cell, region: code, geography, peer, incarnation } = member
    const was = this.#membership.members.find((each) => each.cell === cell)?.incarnation
    if (was === undefined) throw new Error('one that is no member comes back')
    await this.#atRoot(async (root) => {
      if (this.#membership.root === cell) await beReborn(root, member)
      else await admitRegion(root, new Namespace(), { region: code, geography, peer, incarnation, was })
    }, region)
    await this.#insist(() => store.transact(async (transaction) => setSelf(transaction, member)))
    region.release()
  }

  committed(region: Region, writes: readonly Write[], before: View, after: View): void {
    const { cell } = region.member
    if (writes.some((write) => write.kind === 'set' && isSame(write.key, clusterKey))) {
      const known = this.knownIn(after)
      if (isLater(known, this.#membership)) this.#replaceBy(known, after)
      if (known.root === cell && this.knownIn(before).root !== cell) this.#checkKnowsAll(region, after)
    }
    const isChange = writes.some((write) => 'key' in write && isSame(write.key, keys.namespaceHead))
    if (isChange && this.#membership.root !== cell) {
      this.#parts.failed(new Violation(`cell ${cell} changes the namespace, and ${this.#membership.root} is the root`))
    }
  }

  /** As the operator does beside the root's server: again until it is done. `alone`: a region that may be the root, and is down. */
  async #atRoot<Done>(action: (store: Store) => Promise<Done>, alone?: Region): Promise<Done> {
    return await this.#insist(async () => {
      const { root } = this.#membership
      const region = this.#parts.regions.find(({ member }) => member.cell === root)
      if (region === undefined || region.isLost || !(region.isUp || region === alone))
        throw new Fault('ServiceUnavailable')
      return await action(governNamespace(region.store, root))
    })
  }

  async #insist<Done>(action: () => Promise<Done>): Promise<Done> {
    for (;;) {
      try {
        return await action()
      } catch (error) {
        const isExpected = [Fault, StoreError, NotTheRoot].some((kind) => error instanceof kind)
        if (!isExpected) throw error
        await this.#parts.timeline.sleep(pauseMilliseconds)
      }
    }
  }

  #replaceBy(known: Membership, after: View): void {
    const before = this.#membership
    this.#membership = known
    this.#parts.changed()
    for (const { cell, state } of known.members) {
      const wasThere = before.members.some((each) => each.cell === cell && each.state !== 'removed')
      if (state === 'removed' && wasThere) this.#parts.left(cell, after)
    }
  }

  #checkKnowsAll(root: Region, after: View): void {
    for (const { store, isLost, hasLeft, member } of this.#parts.regions) {
      // Nobody waits for what one knows that takes no part yet.
      const isJoining = memberOf(this.knownIn(store.view), member.cell)?.state === 'joining'
      if (isLost || hasLeft || isJoining) continue
      for (const { name } of buckets) {
        const [here, there] = [rowOf(after, name)?.epoch ?? 0, rowOf(store.view, name)?.epoch ?? 0]
        if (here >= there) continue
        const message = `${root.member.region} becomes the root with ${name} of ${here}, and ${member.region} knows ${there}`
        this.#parts.failed(new Violation(message))
      }
    }
  }
}
