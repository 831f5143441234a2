import type { Namespace } from '#src/metadata/namespace.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { sharingCells } from '#src/model/move.ts'
import { cellsOf, type Membership } from '#src/model/region.ts'
import type { Snapshot } from '#src/store/store.ts'

/** Whether a cell gets a bucket's records: `later` where the bucket is not known here yet. */
export type Share = 'yes' | 'no' | 'later'

/** What a cell does with records of a bucket. */
interface Taking {
  readonly isTaken: boolean
  /** The bucket is on its way to other cells, or back. */
  readonly isMoving: boolean
}

/** Which cells the records of a bucket go to (C17). Names are remembered by id; locations are read each time. */
export class BucketCells {
  readonly #namespace: Namespace
  readonly #membership: () => Membership | undefined
  #names: ReadonlyMap<number, string> = new Map()

  /** Without a membership all records go to whoever asks. */
  constructor(namespace: Namespace, membership: () => Membership | undefined) {
    this.#namespace = namespace
    this.#membership = membership
  }

  /** Of a bucket that is no more, records go nowhere. */
  async share(from: Snapshot, bucket: number, cell: number): Promise<Share> {
    const membership = this.#membership()
    if (membership === undefined) return 'yes'
    const found = await this.bucket(from, bucket)
    if (found === undefined) return (await this.#namespace.largestBucketId(from)) < bucket ? 'later' : 'no'
    return sharingCells(found, membership).includes(cell) ? 'yes' : 'no'
  }

  /** Those that the bucket is in; none: it is no more, or not known yet. */
  async standing(from: Snapshot, bucket: number): Promise<readonly number[]> {
    const membership = this.#membership()
    const found = await this.bucket(from, bucket)
    return found === undefined || membership === undefined ? [] : cellsOf(found.location, membership)
  }

  /** In how many regions what is in a bucket has to be, where it says so. */
  async durability(from: Snapshot, bucket: number): Promise<number | undefined> {
    return (await this.bucket(from, bucket))?.durability
  }

  /**
   * What a cell does with a bucket's records, by its own row, which is read once: what came on its way before it knew of the bucket is
   * taken, and what comes late to a cell that the bucket has left is not (C22).
   */
  async taking(from: Snapshot, bucket: number, cell: number): Promise<Taking> {
    const membership = this.#membership()
    const found = await this.bucket(from, bucket)
    const isTaken = found === undefined || membership === undefined || sharingCells(found, membership).includes(cell)
    return { isTaken, isMoving: found?.move !== undefined }
  }

  /** By its id. */
  async bucket(from: Snapshot, id: number): Promise<Bucket | undefined> {
    const name = this.#names.get(id)
    const found = name === undefined ? undefined : await this.#namespace.bucket(from, name)
    return found?.id === id ? found : await this.#searched(from, id)
  }

  async #searched(from: Snapshot, bucket: number): Promise<Bucket | undefined> {
    // Deleted, and known to have been: looking through all buckets again finds nothing else.
    if (this.#names.has(bucket)) return undefined
    const buckets = await this.#namespace.buckets(from)
    this.#names = new Map([...this.#names, ...buckets.map(({ id, name }) => [id, name] as const)])
    const found = buckets.find(({ id }) => id === bucket)
    if (found === undefined && (await this.#namespace.largestBucketId(from)) >= bucket) {
      this.#names = new Map([...this.#names, [bucket, '']])
    }
    return found
  }
}
