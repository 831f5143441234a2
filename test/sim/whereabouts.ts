import type { Restriction } from '#src/model/blob.ts'
import { cellsOf, type Member, type Membership, memberOf, targetCells } from '#src/model/region.ts'
import type { View } from '#src/store/overlay.ts'
import { buckets } from './content.ts'
import { rowOf } from './places.ts'

interface Cell {
  readonly member: Member
  readonly store: { readonly view: View }
}

interface Seen {
  readonly membership: Membership
  readonly roster: { readonly isByRows: boolean }
  readonly root: Pick<Cell, 'store'>
  readonly regions: readonly Cell[]
}

/** Where buckets have been, so that a check knows where bytes could not be at any time. */
export class Whereabouts {
  readonly #cluster: Seen
  readonly #seen = new Map<string, readonly (readonly string[])[]>()
  readonly #now = new Map<string, readonly string[]>()
  readonly #known = new Set<string>()
  /** How each bucket stood when it was looked at last. */
  readonly #last = new Map<number, string>()
  /** Of each bucket, the locations that it had, by epoch. */
  readonly #locations = new Map<number, Map<number, string>>()
  #states = ''

  constructor(cluster: Seen) {
    this.#cluster = cluster
  }

  /** Notes how things stand; to be called whenever that may have changed. */
  look(): void {
    const { membership, root, roster } = this.#cluster
    const states = membership.members.map(({ cell, state }) => `${cell} ${state}`).join()
    const isKnownAtOnce = states !== this.#states && !roster.isByRows
    this.#states = states
    for (const { id, name } of buckets) {
      const row = rowOf(root.store.view, name)
      if (row === undefined) continue
      const locations = this.#locations.get(id) ?? new Map<number, string>()
      this.#locations.set(id, locations.set(row.epoch, row.location))
      const cells = cellsOf(row.location, membership)
      const now = `${id} ${cells.join()} ${states}`
      if (cells.length > 0 && this.#last.get(id) !== now) {
        this.#last.set(id, now)
        for (const [of, codes] of this.#note(id, cells, states)) this.#now.set(of, codes)
      }
      if (!isKnownAtOnce) continue
      // A cell hears of a member at once, and only later of what was before that: by what it knows, the bucket is where it never was.
      const oldest = this.#oldest(name)
      for (const [epoch, location] of locations) {
        const before = cellsOf(location, membership)
        if (epoch >= oldest && epoch < row.epoch && before.length > 0) this.#note(id, before, states)
      }
    }
  }

  /** The epoch that the last of the members still has a bucket at. */
  #oldest(name: string): number {
    const { membership, regions } = this.#cluster
    const isIn = ({ member: { cell } }: Cell): boolean => (memberOf(membership, cell)?.state ?? 'removed') !== 'removed'
    return Math.min(
      ...regions.filter(isIn).map(({ store }) => rowOf(store.view, name)?.epoch ?? Number.POSITIVE_INFINITY),
    )
  }

  /** The regions that are to hold what is restricted to some, by these. */
  #note(id: number, cells: readonly number[], states: string): readonly (readonly [string, readonly string[]])[] {
    const { membership } = this.#cluster
    const now = `${id} ${cells.join()} ${states}`
    const isNew = !this.#known.has(now)
    this.#known.add(now)
    return this.#subsets().map((regions) => {
      const targets = targetCells(regions, cells, membership)
      const codes = (targets ?? []).flatMap((cell) => memberOf(membership, cell)?.region ?? [])
      const of = `${id} ${regions.join()}`
      if (isNew) this.#seen.set(of, [...(this.#seen.get(of) ?? []), codes])
      return [of, codes] as const
    })
  }

  /** The regions that are to hold it now; undefined: at some time none of those that it names was there, and others took it. */
  of({ bucket, regions }: Restriction): readonly string[] | undefined {
    const of = `${bucket} ${regions.join()}`
    const seen = this.#seen.get(of) ?? []
    return seen.some((codes) => codes.length === 0) ? undefined : this.#now.get(of)
  }

  /** The regions that are to hold it now, whatever was before; undefined: none of those that it names is there, and all may. */
  now({ bucket, regions }: Restriction): readonly string[] | undefined {
    const codes = this.#now.get(`${bucket} ${regions.join()}`) ?? []
    return codes.length === 0 ? undefined : codes
  }

  #subsets(): readonly (readonly string[])[] {
    const codes = [...new Set(this.#cluster.regions.map(({ member }) => member.region))].sort()
    return Array.from({ length: 2 ** codes.length - 1 }, (_, bits) =>
      codes.filter((_, index) => ((bits + 1) & (1 << index)) !== 0),
    )
  }
}
