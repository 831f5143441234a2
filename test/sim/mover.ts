import { Fault } from '#src/errors.ts'
import { NotTheRoot } from '#src/metadata/namespace-feed.ts'
import { StoreError } from '#src/store/store.ts'
import type { Chance } from './chance.ts'
import type { Cluster } from './cluster.ts'
import { buckets } from './content.ts'
import type { Faults } from './faults.ts'
import { cellsIn, rowOf } from './places.ts'
import type { Region } from './region.ts'
import type { Timeline } from './timeline.ts'

export interface MoverParts {
  readonly timeline: Timeline
  readonly chance: Chance
  readonly faults: Faults
  readonly cluster: Cluster
}

const gatherTimes = 10
/** How many seeds of three have buckets that move. */
const kinds = [false, true, true]

/** Somebody who has buckets change their regions again and again, whatever else happens. */
export class Mover {
  readonly #parts: MoverParts
  readonly #under = new Set<string>()
  #isOver = false

  constructor(parts: MoverParts) {
    this.#parts = parts
  }

  async run(): Promise<void> {
    const { timeline, chance } = this.#parts
    if (!chance.pick(kinds)) return
    for (;;) {
      await timeline.sleep(chance.between(50, 800))
      if (this.#isOver) return
      this.look()
      await this.#ask()
    }
  }

  stop(): void {
    this.#isOver = true
  }

  async #ask(): Promise<void> {
    const { name } = this.#parts.chance.pick(buckets)
    await this.#move(name, this.#location())
  }

  async #move(name: string, location: string): Promise<void> {
    const { cluster, timeline } = this.#parts
    const change = cluster.root.services?.move(name, location)
    // The root may die with it in hand.
    const silence = timeline.sleep(5_000)
    await Promise.race([change, silence]).catch((error: unknown) => {
      const isExpected = [Fault, StoreError, NotTheRoot].some((kind) => error instanceof kind)
      if (!isExpected) throw error
    })
  }

  /** As its operator does who wants a region to leave: buckets that are only there get another location. */
  async clear({ member }: Region): Promise<void> {
    const { cluster } = this.#parts
    for (const { name } of buckets) {
      const cells = cellsIn(cluster.root.store.view, name, cluster.membership)
      if (cells.every((each) => each === member.cell)) await this.#move(name, '')
    }
  }

  /** Some bucket goes to one region alone, if what it asks for lets it; it has some time for that. */
  async gather({ member }: Region): Promise<void> {
    const { timeline, chance, cluster } = this.#parts
    const { name } = chance.pick(buckets)
    const isGathered = (): boolean => cellsIn(cluster.root.store.view, name, cluster.membership).length === 1
    for (let times = 0; times < gatherTimes && !isGathered(); times++) {
      await this.#move(name, member.region)
      await timeline.sleep(500)
    }
  }

  /** As the operator does who gave up what a lost region alone had: buckets that are nowhere begin anew, empty. */
  async placeAnew(): Promise<void> {
    const { timeline, cluster } = this.#parts
    const isNowhere = ({ name }: { readonly name: string }): boolean =>
      cellsIn(cluster.root.store.view, name, cluster.membership).length === 0
    for (const bucket of buckets.filter(isNowhere)) {
      while (isNowhere(bucket)) {
        await this.#move(bucket.name, '')
        await timeline.sleep(500)
      }
    }
  }

  #location(): string {
    const { chance, cluster } = this.#parts
    const staying = cluster.membership.members.filter(({ state }) => state === 'active')
    const all = staying.map(({ region }) => region)
    const chosen = all.filter(() => chance.happens(0.5))
    if (chosen.length === 0) return chance.happens(0.5) ? '' : chance.pick(all)
    return chosen.join(',')
  }

  /** Counts the changes that came to their end since it was looked before. */
  look(): void {
    const { cluster, faults } = this.#parts
    for (const { name } of buckets) {
      const move = rowOf(cluster.root.store.view, name)?.move
      if (move !== undefined) this.#under.add(name)
      else if (this.#under.delete(name)) faults.fired('bucket moved')
    }
  }
}
