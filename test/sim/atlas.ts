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

  constructor(faults: Faults, regions: readonly Region[]) {
    this.#faults = faults
    this.#regions = regions
  }

  /** Asked at each read of a chunk. */
  strike(region: Region, blob: BlobId): UnreadableReason | undefined {
    if (this.#faults.happens('failed read')) return 'failed'
    for (const fault of ['corrupt chunk', 'missing chunk'] as const) {
      if (!this.#faults.draws(fault) || !this.#hasSpare(region, blob)) continue
      this.#faults.fired(fault)
      return fault === 'corrupt chunk' ? 'corrupt' : 'missing'
    }
    return undefined
  }

  /** Whether another region holds the blob whole, names it, and is counted upon by its keeper. */
  #hasSpare(struck: Region, blob: BlobId): boolean {
    const own = recordIn(struck, blob)
    const keeper = this.#regions.find(({ member }) => member.cell === own?.keeper)
    const counted = keeper === undefined ? undefined : recordIn(keeper, blob)
    return this.#regions.some((region) => {
      if (region === struck) return false
      const name = region.member.region
      const record = recordIn(region, blob)
      if (record === undefined || record.isUnreferenced === true) return false
      const copy = copyIn(record, name)
      if (copy === undefined || !region.blobs.isWhole(copy.extents)) return false
      return region === keeper || counted?.holders.some((holder) => holder.region === name) === true
    })
  }
}

function recordIn({ store }: Region, blob: BlobId) {
  const row = store.view.get(keys.blob(blob))
  const record = row === undefined ? undefined : decodeBlob(row)
  return record?.kind === 'bytes' ? record : undefined
}
