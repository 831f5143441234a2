import type { UnreadableReason } from '#src/blobs/blobs.ts'
import { decodeBlob } from '#src/metadata/blob-codec.ts'
import { copyIn } from '#src/metadata/blob-records.ts'
import { keys } from '#src/metadata/keyspace.ts'
import type { BlobId } from '#src/model/blob.ts'
import type { Faults } from './faults.ts'
import type { Region } from './region.ts'

/**
 * Which bytes disks lose. Never those of the last good copy that somebody is bound to keep: what no system could bring back
 * shows nothing about this one.
 */
export class Atlas {
  readonly #faults: Faults
  readonly #regions: readonly Region[]
  readonly #spares: () => number

  /** `spares`: how many good copies have to be left, as of now. */
  constructor(faults: Faults, regions: readonly Region[], spares: () => number) {
    this.#faults = faults
    this.#regions = regions
    this.#spares = spares
  }

  /** Asked at each read of a chunk. */
  strike(region: Region, blob: BlobId): UnreadableReason | undefined {
    if (this.#faults.happens('failed read')) return 'failed'
    for (const fault of ['corrupt chunk', 'missing chunk'] as const) {
      if (!this.#faults.draws(fault) || !this.#hasSpares(region, blob)) continue
      this.#faults.fired(fault)
      return fault === 'corrupt chunk' ? 'corrupt' : 'missing'
    }
    return undefined
  }

  /** Whether other regions hold the blob whole, name it, and are counted upon by its keeper. */
  #hasSpares(struck: Region, blob: BlobId): boolean {
    const own = recordIn(struck, blob)
    const keeper = this.#regions.find(({ member }) => member.cell === own?.keeper)
    const counted = keeper === undefined ? undefined : recordIn(keeper, blob)
    const spares = this.#regions.filter((region) => {
      if (region === struck || region.isLost) return false
      const name = region.member.region
      const record = recordIn(region, blob)
      if (record === undefined || record.isUnreferenced === true) return false
      const copy = copyIn(record, name)
      if (copy === undefined || !region.blobs.isWhole(copy.extents)) return false
      return region === keeper || counted?.holders.some((holder) => holder.region === name) === true
    })
    return spares.length >= this.#spares()
  }
}

function recordIn({ store }: Region, blob: BlobId) {
  const row = store.view.get(keys.blob(blob))
  const record = row === undefined ? undefined : decodeBlob(row)
  return record?.kind === 'bytes' ? record : undefined
}
