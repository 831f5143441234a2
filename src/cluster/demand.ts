import { askFor, fetchBlob } from '#src/metadata/outbox.ts'
import type { Arrival } from '#src/metadata/receive.ts'
import type { BlobId } from '#src/model/blob.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { Foundation } from '#src/service/foundation.ts'
import type { Span } from '#src/telemetry/span.ts'
import type { Tracer } from '#src/telemetry/tracer.ts'
import type { BucketCells } from './bucket-cells.ts'

/** Reads count together that come within so many milliseconds of the first. */
const windowMilliseconds = 3_600_000
/** Blobs whose reads are counted; of more, those that were first read longest ago are forgotten. */
const countedMost = 20_000
/** Jobs that one transaction asks for. */
const jobsTogether = 500

export interface DemandOptions {
  readonly foundation: Pick<Foundation, 'store' | 'world'>
  readonly cells: BucketCells
  /** After so many reads within an hour a blob gets a durable copy here; 0: never. */
  readonly promoteReads: number
  /** Told of what was not read within the last hour. */
  readonly firstRead?: (blob: BlobId) => Promise<void>
  readonly failed: (error: unknown) => void
  readonly tracer?: Tracer | undefined
}

/**
 * Which blobs of other regions are to be held here too: those that are read often, and those of buckets that ask for copies in all
 * their regions. What is counted is this process's alone, and may be lost: a copy that is not made makes reads slower, no more.
 */
export class Demand {
  readonly #options: DemandOptions
  readonly #reads = new Map<BlobId, { readonly since: number; readonly count: number }>()
  readonly #asking = new Set<Promise<void>>()

  constructor(options: DemandOptions) {
    this.#options = options
  }

  /** Counts a read of a blob that is not held here. */
  readonly wanted = (blob: BlobId): void => {
    const { foundation, promoteReads, firstRead } = this.#options
    const now = foundation.world.monotonic()
    const before = this.#reads.get(blob)
    const isNew = before === undefined || now - before.since > windowMilliseconds
    const reads = isNew ? { since: now, count: 1 } : { ...before, count: before.count + 1 }
    this.#reads.delete(blob)
    if (isNew && firstRead !== undefined) this.#keepTrack(firstRead(blob))
    if (promoteReads > 0 && reads.count >= promoteReads) this.#keepTrack(this.#ask([blob]))
    else this.#reads.set(blob, reads)
    const [oldest] = this.#reads.keys()
    if (this.#reads.size > countedMost && oldest !== undefined) this.#reads.delete(oldest)
  }

  /** Looks whether what came from another cell is to be held here at once. */
  readonly arrived = (arrivals: readonly Arrival[]): void => {
    this.#keepTrack(this.#arrived(arrivals))
  }

  /** Has blobs held here, some time later. */
  hold(blobs: readonly BlobId[]): Promise<void> {
    return this.#ask(blobs)
  }

  /** Once all jobs are asked for. */
  async settled(): Promise<void> {
    while (this.#asking.size > 0) await Promise.all(this.#asking)
  }

  #keepTrack(asking: Promise<void>): void {
    const tracked = asking.catch(this.#options.failed).finally(() => this.#asking.delete(tracked))
    this.#asking.add(tracked)
  }

  async #arrived(arrivals: readonly Arrival[]): Promise<void> {
    const { foundation, cells } = this.#options
    const buckets = [...new Set(arrivals.map(({ bucket }) => bucket))]
    const eager = await foundation.store.snapshot(async (snapshot) => {
      const found = await Promise.all(buckets.map((id) => cells.bucket(snapshot, id)))
      return new Set(found.flatMap((each) => (each !== undefined && isEager(each) ? [each.id] : [])))
    })
    const wanted = arrivals.filter(({ bucket, isRestricted }) => eager.has(bucket) && !isRestricted)
    await this.#ask(wanted.flatMap(({ content }) => blobsOf(content)))
  }

  #ask(blobs: readonly BlobId[]): Promise<void> {
    const { tracer } = this.#options
    if (tracer?.current === undefined) return this.#askFor(blobs)
    return tracer.inSpan('job ask', { kind: 'producer', attributes: { 'meridian.job.kind': fetchBlob } }, (span) =>
      this.#askFor(blobs, span),
    )
  }

  async #askFor(blobs: readonly BlobId[], span?: Span): Promise<void> {
    const { store, world } = this.#options.foundation
    const trace = span?.traceparent
    for (let first = 0; first < blobs.length; first += jobsTogether) {
      await store.transact(async (transaction) => {
        for (const blob of blobs.slice(first, first + jobsTogether)) {
          askFor(
            transaction,
            { kind: fetchBlob, payload: { blob }, ...(trace !== undefined && { trace }) },
            world.now(),
          )
        }
      })
    }
  }
}

/** As PutBucketAccelerateConfiguration left it. */
const isEager = ({ documents: { accelerate } }: Bucket): boolean => accelerate === 'Enabled'

function blobsOf(content: Arrival['content']): readonly BlobId[] {
  if (content.kind === 'blob') return [content.blob.id]
  return content.kind === 'manifest' ? content.blobs.map(({ id }) => id) : []
}
