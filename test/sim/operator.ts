import { Members } from '#src/cluster/members.ts'
import { OutOfPatience } from '#src/cluster/patience.ts'
import { Promotion } from '#src/cluster/promotion.ts'
import { PeerUnreachable } from '#src/cluster/transport.ts'
import { Fault } from '#src/errors.ts'
import { ClusterRecords } from '#src/metadata/cluster-records.ts'
import { type Member, memberOf } from '#src/model/region.ts'
import { StoreError } from '#src/store/store.ts'
import type { Chance } from './chance.ts'
import type { Cluster } from './cluster.ts'
import type { Faults } from './faults.ts'
import type { Mover } from './mover.ts'
import type { Operating, Region } from './region.ts'
import type { Timeline } from './timeline.ts'

export interface OperatorParts {
  readonly timeline: Timeline
  readonly chance: Chance
  readonly faults: Faults
  readonly cluster: Cluster
  readonly mover: Mover
}

/** A command that died with its region's server is given again after so many milliseconds. */
const patience = 60_000
const pauseMilliseconds = 500

/** Whoever makes other regions the root, and sees what is to be done when one is lost. */
export class Operator {
  readonly #parts: OperatorParts

  constructor(parts: OperatorParts) {
    this.#parts = parts
  }

  /** Rejects where something cannot be done that can be done. */
  async run(joined: Promise<void>): Promise<void> {
    const { timeline, chance, cluster } = this.#parts
    const { promotions, loses } = cluster.fate
    await joined
    // One that joins while the root is lost may have to begin anew.
    while (cluster.late !== undefined && this.#stateOf(cluster.late) === 'joining') await timeline.sleep(100)
    for (let count = 0; count < promotions; count++) {
      await timeline.sleep(chance.between(1_000, 6_000))
      await this.#promote()
    }
    if (loses === 'none') return
    await timeline.sleep(chance.between(1_000, 8_000))
    await this.#lose(this.#doomed(loses))
  }

  /** Those that stay. */
  get #steady(): readonly Region[] {
    const { cluster } = this.#parts
    return cluster.staying.filter((region) => {
      return region !== cluster.leaver && !region.isLost && this.#stateOf(region) === 'active'
    })
  }

  #stateOf({ member }: Region): Member['state'] | undefined {
    return memberOf(this.#parts.cluster.membership, member.cell)?.state
  }

  /** Another one becomes the root while the one that is gives its place. */
  async #promote(): Promise<void> {
    const { chance, cluster, faults } = this.#parts
    const others = this.#steady.filter((region) => region !== cluster.root)
    if (others.length === 0) return
    const heir = chance.pick(others)
    const isDone = (): boolean =>
      cluster.root === heir && cluster.roster.knownIn(heir.store.view).root === heir.member.cell
    cluster.isCrowning = true
    await this.#insist(heir, (promotion) => promotion.succeed(), isDone)
    cluster.isCrowning = false
    faults.fired('root promoted')
  }

  #doomed(loses: 'root' | 'other'): Region {
    const { chance, cluster } = this.#parts
    const others = this.#steady.filter((region) => region !== cluster.root)
    return loses === 'root' || others.length < 2 ? cluster.root : chance.pick(others)
  }

  async #lose(region: Region): Promise<void> {
    const { timeline, chance, cluster, mover } = this.#parts
    const { fate, roster } = cluster
    const isRoot = region === cluster.root
    // One that only the root can let in again would else be down as long as there is none.
    if (fate.isBucketLost) await mover.gather(region)
    while (cluster.regions.some(({ isHeld }) => isHeld) || !this.#isKnownOfEach()) await timeline.sleep(50)
    cluster.lose(region)
    await timeline.sleep(chance.between(200, 6_000))
    if (isRoot) await this.#replaceRoot(region)
    else await roster.remove(region)
    if (fate.isReplaced || this.#steady.length < 2) {
      await timeline.sleep(chance.between(0, 3_000))
      await cluster.replace(region)
    }
    await mover.placeAnew()
  }

  /** Whether all know who the others are: one that was reborn, and of which only the lost root has heard, is refused by all others. */
  #isKnownOfEach(): boolean {
    const { staying, roster } = this.#parts.cluster
    return staying.every(({ store }) => {
      const known = roster.knownIn(store.view)
      return staying.every(({ member }) => memberOf(known, member.cell)?.incarnation === member.incarnation)
    })
  }

  /** Tries one after the other, as each of them says that another one knows more. */
  async #replaceRoot(lost: Region): Promise<void> {
    const { chance, cluster } = this.#parts
    while (!lost.hasLeft) {
      const heir = chance.pick(cluster.staying.filter((region) => !region.isLost))
      const isDone = (): boolean => lost.hasLeft
      await this.#insist(heir, (promotion) => promotion.replace([]), isDone, 1)
    }
    // One that leaves may be the only one that knew all.
    if (cluster.root === cluster.leaver) await this.#promote()
  }

  async #insist(
    heir: Region,
    command: (promotion: Promotion) => Promise<unknown>,
    isDone: () => boolean,
    most = Number.POSITIVE_INFINITY,
  ): Promise<void> {
    const { timeline } = this.#parts
    for (let times = 0; times < most && !isDone(); times++) {
      const silence = timeline.sleep(patience)
      const asked = heir.services?.operate((parts) => promotionOf(heir, parts).then(command))
      await Promise.race([asked, silence]).catch((error: unknown) => {
        const isExpected = [Fault, StoreError, PeerUnreachable, OutOfPatience].some((kind) => error instanceof kind)
        if (!isExpected) throw error
      })
      await timeline.sleep(pauseMilliseconds)
    }
  }
}

/** As the command has it that runs beside the region's server. */
async function promotionOf({ member }: Region, { store, transport, world }: Operating): Promise<Promotion> {
  const records = new ClusterRecords()
  const membership = await store.snapshot((snapshot) => records.membership(snapshot))
  if (membership === undefined) throw new Error('a region without members')
  const members = new Members({ store, records, self: member, membership })
  return new Promotion({ store, world, members, transport })
}
