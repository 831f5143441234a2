import { decodeRow } from '#src/metadata/namespace-codec.ts'
import { clusterKey } from '#src/metadata/namespace-keys.ts'
import type { Member, Membership } from '#src/model/region.ts'
import type { View } from '#src/store/overlay.ts'
import type { Write } from '#src/store/writes.ts'
import { Atlas } from './atlas.ts'
import { Chance } from './chance.ts'
import type { Faults } from './faults.ts'
import type { Ledger } from './ledger.ts'
import type { Network } from './network.ts'
import { type Compose, Region, type RegionParts } from './region.ts'
import type { Timeline } from './timeline.ts'
import { Whereabouts } from './whereabouts.ts'

const codes = ['fra', 'iad', 'syd', 'nrt'] as const
/** How often one of at least three regions comes later than the others. */
const lateness = 0.3

export interface ClusterParts {
  readonly seed: string
  readonly timeline: Timeline
  readonly network: Network
  readonly ledger: Ledger
  readonly faults: Faults
  readonly compose: Compose
  readonly failed: (error: unknown) => void
}

/** How often one of at least three leaves. */
const leaving = 0.35

/** The regions of a simulation, and who is a member of what they are together. A change of that is known everywhere at once. */
export class Cluster {
  readonly regions: readonly Region[]
  /** Undefined: all are there from the beginning. */
  readonly late: Region | undefined
  /** Undefined: all stay. */
  readonly leaver: Region | undefined
  readonly whereabouts = new Whereabouts(this)
  readonly #parts: ClusterParts
  #membership: Membership

  constructor(parts: ClusterParts) {
    const { seed, faults } = parts
    const chance = new Chance(`${seed}/cluster`)
    this.#parts = parts
    const members = codes.slice(0, chance.pick([2, 3, 3, 4])).map(
      (region, index): Member => ({
        region,
        geography: '',
        cell: index + 1,
        incarnation: `${seed}-${index}`,
        peer: `http://${region}`,
        state: 'active',
      }),
    )
    const regions: Region[] = []
    const atlas = new Atlas(faults, regions)
    for (const member of members) {
      const membership = (): Membership => this.#membership
      const committed: RegionParts['committed'] = (region, writes, after) => this.#committed(region, writes, after)
      regions.push(new Region({ ...parts, member, membership, committed, strike: atlas.strike.bind(atlas) }))
    }
    this.regions = regions
    this.late = members.length > 2 && chance.happens(lateness) ? regions.at(-1) : undefined
    // Not the root, and not one that comes late.
    this.leaver = members.length > 2 && chance.happens(leaving) ? regions[1] : undefined
    const first = this.late === undefined ? members : members.slice(0, -1)
    this.#membership = { epoch: 1, root: 1, members: first }
  }

  get membership(): Membership {
    return this.#membership
  }

  /** The region that has the namespace. */
  get root(): Region {
    const root = this.regions.find(({ member }) => member.cell === this.#membership.root)
    if (root === undefined) throw new Error('a cluster without a root')
    return root
  }

  /** The late one becomes a member, with nothing in it: it hears of all that was before from the others' feeds. */
  join(region: Region): void {
    this.#parts.faults.fired('late region')
    this.#change([...this.#membership.members, region.member])
    region.start()
  }

  /** From now on it wants to go, and its clients go on: it has until the end of the simulation. */
  leave(region: Region): void {
    this.#parts.faults.fired('leaving region')
    this.#changeState(region.member.cell, 'leaving')
  }

  /** Who is no member any more by what the root writes, is none from that moment on. */
  #committed({ member }: Region, writes: readonly Write[], after: View): void {
    if (member.cell !== this.#membership.root) return
    // Seen from without, it is committed by then.
    this.#parts.timeline.after(0, () => this.whereabouts.look())
    if (!writes.some((write) => write.kind === 'set' && Buffer.compare(write.key, clusterKey) === 0)) return
    const row = after.get(clusterKey)
    const { members } = row === undefined ? { members: [] } : decodeRow<Membership>(row)
    for (const { cell, state } of members) if (state === 'removed') this.#left(cell)
  }

  /** What it has written, and what it held, has to be in the others from here on. */
  #left(cell: number): void {
    const region = this.regions.find(({ member }) => member.cell === cell)
    if (region === undefined || region.hasLeft) return
    region.hasLeft = true
    this.#changeState(cell, 'removed')
    this.#parts.timeline.after(0, () => {
      if (region.isUp) region.crash()
    })
  }

  #changeState(cell: number, state: Member['state']): void {
    this.#change(this.#membership.members.map((each) => (each.cell === cell ? { ...each, state } : each)))
  }

  get staying(): readonly Region[] {
    return this.regions.filter(({ hasLeft }) => !hasLeft)
  }

  /** As one that was moved to another store: positions in its feed mean nothing any more, all others begin at zero (C15). */
  rename(region: Region): void {
    this.#parts.faults.fired('rebirth')
    const { member } = region
    const incarnation = `${member.incarnation}'`
    region.member = { ...member, incarnation }
    this.#change(this.#membership.members.map((each) => (each.cell === member.cell ? { ...each, incarnation } : each)))
  }

  #change(members: readonly Member[]): void {
    this.#membership = { ...this.#membership, epoch: this.#membership.epoch + 1, members }
    this.whereabouts.look()
  }
}
