import { lookMilliseconds, reserveOf } from '#src/blobs/free-space.ts'
import { Fault } from '#src/errors.ts'
import type { World } from '#src/world.ts'

interface Space {
  readonly free: number
  readonly total: number
}

export interface MetadataSpaceOptions {
  readonly world: World
  readonly look: () => Promise<Space>
  /** Undefined: as of a volume, 2 %, at least 1 GiB. */
  readonly reserveBytes: number | undefined
  readonly report: (isFull: boolean) => void
}

/**
 * Room for what grows the metadata: small objects, uploads. Free is what the disk has, and what the data file has inside.
 *
 * M1  what grows the metadata is refused while its disk has only the reserve left, so that deletions have pages to write (C3).
 */
export class MetadataSpace {
  readonly #options: MetadataSpaceOptions
  #isFull = false
  #free = 0
  #sampledAt = Number.NEGATIVE_INFINITY

  constructor(options: MetadataSpaceOptions) {
    this.#options = options
  }

  /** Throws Fault `ServiceUnavailable` where only the reserve is left, as it was seen a moment ago: nobody waits for the disk. */
  check(): void {
    const age = this.#options.world.monotonic() - this.#sampledAt
    if (age > lookMilliseconds(this.#free)) void this.refresh()
    if (this.#isFull)
      throw new Fault('ServiceUnavailable', {}, { cause: new Error('the disk of the metadata is full') })
  }

  async refresh(): Promise<void> {
    const { world, look, reserveBytes, report } = this.#options
    this.#sampledAt = world.monotonic()
    // A disk that does not even tell its size will say so to the next commit.
    const space = await look().catch(() => undefined)
    if (space === undefined) return
    this.#free = space.free
    const isFull = space.free <= reserveOf(space.total, reserveBytes)
    if (isFull !== this.#isFull) report(isFull)
    this.#isFull = isFull
  }
}
