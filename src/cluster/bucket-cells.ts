import type { Namespace } from '#src/metadata/namespace.ts'
import { cellsOf, type Membership } from '#src/model/region.ts'
import type { Snapshot } from '#src/store/store.ts'

/** Whether a cell gets a bucket's records: `later` where the bucket is not known here yet. */
export type Share = 'yes' | 'no' | 'later'

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
    const location = (await this.#location(from, bucket)) ?? (await this.#searched(from, bucket))
    if (location === undefined) return (await this.#namespace.largestBucketId(from)) < bucket ? 'later' : 'no'
    return cellsOf(location, membership).includes(cell) ? 'yes' : 'no'
  }

  async #location(from: Snapshot, bucket: number): Promise<string | undefined> {
    const name = this.#names.get(bucket)
    const found = name === undefined ? undefined : await this.#namespace.bucket(from, name)
    return found?.id === bucket ? found.location : undefined
  }

  async #searched(from: Snapshot, bucket: number): Promise<string | undefined> {
    // Deleted, and known to have been: looking through all buckets again finds nothing else.
    if (this.#names.has(bucket)) return undefined
    const buckets = await this.#namespace.buckets(from)
    this.#names = new Map([...this.#names, ...buckets.map(({ id, name }) => [id, name] as const)])
    const found = buckets.find(({ id }) => id === bucket)
    if (found === undefined && (await this.#namespace.largestBucketId(from)) >= bucket) {
      this.#names = new Map([...this.#names, [bucket, '']])
    }
    return found?.location
  }
}
