import type { Restriction } from '#src/model/blob.ts'
import { memberOf } from '#src/model/region.ts'
import { Chance } from './chance.ts'
import type { Cluster } from './cluster.ts'
import type { SimulatedBucket } from './content.ts'
import { cellsIn } from './places.ts'
import type { Region } from './region.ts'

/** In how many seeds of three clients say which regions are to keep what they write. */
const kinds = [false, false, true]
const often = 0.4

/** What clients say of where bytes are to be: some of the bucket's regions, wherever they are themselves. */
export class Naming {
  readonly #chance: Chance
  readonly #isOn: boolean
  readonly #cluster: Cluster

  constructor(seed: string, client: string, cluster: Cluster) {
    this.#isOn = new Chance(`${seed}/restriction`).pick(kinds)
    this.#chance = new Chance(`${seed}/restriction/${client}`)
    this.#cluster = cluster
  }

  /** As the region that is asked knows the bucket. */
  restriction({ store }: Region, { id, name }: SimulatedBucket): { readonly restriction?: Restriction } {
    if (!this.#isOn || !this.#chance.happens(often)) return {}
    const { membership } = this.#cluster
    const cells = cellsIn(store.view, name, membership)
    const codes = cells.flatMap((cell) => memberOf(membership, cell)?.region ?? [])
    const named = codes.filter(() => this.#chance.happens(0.5))
    return named.length === 0 ? {} : { restriction: { bucket: id, regions: named.sort() } }
  }
}
