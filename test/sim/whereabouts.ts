import type { Restriction } from '#src/model/blob.ts'
import { type Member, type Membership, memberOf, targetCells } from '#src/model/region.ts'
import type { View } from '#src/store/overlay.ts'
import { buckets } from './content.ts'
import { cellsIn } from './places.ts'

interface Seen {
  readonly membership: Membership
  readonly root: { readonly store: { readonly view: View } }
  readonly regions: readonly { readonly member: Member }[]
}

/** Where buckets have been, so that a check knows where bytes could not be at any time. */
export class Whereabouts {
  readonly #cluster: Seen
  readonly #seen = new Map<string, readonly (readonly string[])[]>()
  readonly #now = new Map<string, readonly string[]>()
  readonly #known = new Set<string>()
  /** How each bucket stood when it was looked at last. */
  readonly #last = new Map<number, string>()

  constructor(cluster: Seen) {
    this.#cluster = cluster
  }

  /** Notes how things stand; to be called whenever that may have changed. */
  look(): void {
    const { membership, root } = this.#cluster
    const states = membership.members.map(({ cell, state }) => `${cell} ${state}`).join()
    for (const { id, name } of buckets) {
      const cells = cellsIn(root.store.view, name, membership)
      const now = `${id} ${cells.join()} ${states}`
      if (cells.length === 0 || this.#last.get(id) === now) continue
      this.#last.set(id, now)
      const isNew = !this.#known.has(now)
      this.#known.add(now)
      for (const regions of this.#subsets()) {
        const targets = targetCells(regions, cells, membership)
        const codes = (targets ?? []).flatMap((cell) => memberOf(membership, cell)?.region ?? [])
        const of = `${id} ${regions.join()}`
        this.#now.set(of, codes)
        if (isNew) this.#seen.set(of, [...(this.#seen.get(of) ?? []), codes])
      }
    }
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
