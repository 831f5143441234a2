import { sharingCells } from '#src/model/move.ts'
import type { Member, Membership } from '#src/model/region.ts'
import type { View } from '#src/store/overlay.ts'
import { Atlas } from './atlas.ts'
import { Chance } from './chance.ts'
import { CommonRoster } from './common-roster.ts'
import { buckets } from './content.ts'
import { type Fate, fateOf, isUsual, usual } from './fate.ts'
import type { Faults } from './faults.ts'
import type { Ledger } from './ledger.ts'
import type { Network } from './network.ts'
import { rowOf } from './places.ts'
import { type Compose, Region, type RegionParts } from './region.ts'
import type { Roster, RosterListener } from './roster.ts'
import { RowsRoster } from './rows-roster.ts'
import type { Timeline } from './timeline.ts'
import { Whereabouts } from './whereabouts.ts'

const codes = ['fra', 'iad', 'syd', 'nrt'] as const
/** How often one of at least three regions comes later than the others. */
const lateness = 0.3

export interface ClusterParts {
  readonly seed: string
  readonly hasFates: boolean
  readonly timeline: Timeline
  readonly network: Network
  readonly ledger: Ledger
  readonly faults: Faults
  readonly compose: Compose
  readonly failed: (error: unknown) => void
}

/** How often one of at least three leaves. */
const leaving = 0.35

/** The regions of a simulation, and who is a member of what they are together. */
export class Cluster {
  /** Those that were, too. */
  readonly regions: readonly Region[]
  /** Undefined: all are there from the beginning. */
  readonly late: Region | undefined
  /** Undefined: all stay. */
  readonly leaver: Region | undefined
  readonly fate: Fate
  readonly whereabouts = new Whereabouts(this)
  /** One root gives its place to another: there may be none that others could tell who they are. */
  isCrowning = false
  readonly #parts: ClusterParts
  readonly #roster: Roster
  readonly #all: Region[] = []
  readonly #atlas: Atlas
  /** By the code of its region: what took its place. */
  readonly #heirs = new Map<Region, Region>()

  constructor(parts: ClusterParts) {
    const { seed, faults, timeline, failed } = parts
    const chance = new Chance(`${seed}/cluster`)
    this.#parts = parts
    const members = codes.slice(0, chance.pick([2, 3, 3, 4])).map((code, index) => memberOf(seed, code, index))
    this.regions = this.#all
    // Of what one region is to be lost with, disks of others lose nothing that is left in that one alone.
    const isToCome = (): boolean => this.fate.loses !== 'none' && !this.regions.some(({ isLost }) => isLost)
    this.#atlas = new Atlas(faults, this.regions, () => (isToCome() ? 2 : 1))
    for (const member of members) this.#add(member)
    this.late = members.length > 2 && chance.happens(lateness) ? this.regions.at(-1) : undefined
    // Not the root, and not one that comes late.
    this.leaver = members.length > 2 && chance.happens(leaving) ? this.regions[1] : undefined
    const first = this.late === undefined ? members : members.slice(0, -1)
    this.fate = parts.hasFates ? fateOf(seed, members.length) : usual
    const heard: RosterListener = {
      left: (cell, after) => this.#left(cell, after),
      changed: () => this.whereabouts.look(),
    }
    this.#roster = isUsual(this.fate)
      ? new CommonRoster(first, heard)
      : new RowsRoster(first, { regions: this.regions, timeline, failed, ...heard })
  }

  #add(member: Member, seed = this.#parts.seed): Region {
    const region: Region = new Region({
      ...this.#parts,
      seed,
      member,
      roster: () => this.#roster,
      committed: (...commit) => this.#committed(...commit),
      durability: () => this.fate.durability,
      strike: this.#atlas.strike.bind(this.#atlas),
    } satisfies RegionParts)
    this.#all.push(region)
    return region
  }

  #committed(...[region, writes, before, after]: Parameters<RegionParts['committed']>): void {
    const { root } = this.membership
    this.#roster.committed(region, writes, before, after)
    if (![root, this.membership.root].includes(region.member.cell)) return
    // Seen from without, it is committed by then.
    this.#parts.timeline.after(0, () => this.whereabouts.look())
  }

  get membership(): Membership {
    return this.#roster.membership
  }

  get roster(): Roster {
    return this.#roster
  }

  /** The region that has the namespace. */
  get root(): Region {
    const root = this.regions.find(({ member }) => member.cell === this.membership.root)
    if (root === undefined) throw new Error('a cluster without a root')
    return root
  }

  /** The late one becomes a member, with nothing in it: it hears of all that was before from the others' feeds. */
  async join(region: Region): Promise<void> {
    this.#parts.faults.fired('late region')
    await this.#roster.join(region)
  }

  /** From now on it wants to go, and its clients go on: it has until the end of the simulation. */
  async leave(region: Region): Promise<void> {
    this.#parts.faults.fired('leaving region')
    await this.#roster.leave(region)
  }

  /** Its disks are gone: what only it has nobody will ever see again. */
  lose(region: Region): void {
    this.#parts.faults.fired(region === this.root ? 'root lost' : 'region lost')
    region.lose()
  }

  /** A new region of the same code, with nothing in it, takes the place of one that was removed. */
  async replace(region: Region): Promise<Region> {
    this.#parts.faults.fired('region replaced')
    const { seed } = this.#parts
    const { region: code, cell } = region.member
    const heir = this.#add({ ...memberOf(`${seed}/again`, code, 0), cell: -cell, state: 'joining' }, `${seed}/again`)
    await this.#roster.join(heir)
    this.#heirs.set(region, heir)
    return heir
  }

  /** Where clients of a region are: in what took its place, if it is lost; or in any other region until then. */
  standIn(region: Region, chance: Chance): Region {
    if (!region.isLost) return region
    const heir = this.#heirs.get(region)
    if (heir?.isServing === true) return heir
    const others = this.regions.filter((each) => each.isServing)
    return others.length === 0 ? region : chance.pick(others)
  }

  /** What it has written, and what it held, has to be in the others from here on; of a lost one, what any of them has. */
  #left(cell: number, after: View): void {
    const region = this.regions.find(({ member }) => member.cell === cell)
    if (region === undefined || region.hasLeft) return
    region.hasLeft = true
    if (region.isLost) this.#mourn(region, after)
    this.#parts.timeline.after(0, () => {
      if (region.isUp) region.crash()
    })
  }

  /** `after`: as the root that removed it has it. */
  #mourn(lost: Region, after: View): void {
    const alive = this.regions.filter(({ hasLeft, member }) => !hasLeft && member.cell >= 0)
    const having = buckets.map(({ id, name }) => {
      const row = rowOf(after, name)
      const cells = row === undefined ? [] : sharingCells(row, this.membership)
      return [id, alive.filter(({ member }) => cells.includes(member.cell)).map(({ store }) => store.view)] as const
    })
    for (const [, views] of having) if (views.length === 0) this.#parts.faults.fired('bucket lost')
    this.#parts.ledger.loses(
      lost.disks,
      alive.map(({ disks }) => disks),
      new Map(having),
    )
  }

  get staying(): readonly Region[] {
    return this.regions.filter(({ hasLeft }) => !hasLeft)
  }

  /** As one that was moved to another store: positions in its feed mean nothing any more, all others begin at zero (C15). */
  rename(region: Region): void {
    // Where the root has to be told, and cannot be, it comes back as it was.
    const isHeard = region === this.root || this.root.isUp
    if (this.#roster.isByRows && (this.isCrowning || !isHeard)) return
    this.#parts.faults.fired('rebirth')
    const { member } = region
    const incarnation = `${member.incarnation}'`
    region.member = { ...member, incarnation }
    this.#roster.rename(region).catch(this.#parts.failed)
  }
}

const memberOf = (seed: string, region: string, index: number): Member => ({
  region,
  geography: '',
  cell: index + 1,
  incarnation: `${seed}-${index}`,
  peer: `http://${region}`,
  state: 'active',
})
