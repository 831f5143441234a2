import type { Entry, Snapshot, Transaction } from '#src/store/store.ts'
import { keys, under } from './keyspace.ts'

/**
 * The outbox: work that a change asks for, committed with it.
 *
 * J1  a job is deleted by the transaction of its effect, so it is done at least once, and never lost (C28, I10).
 */
export type Job =
  /** Blobs that nothing refers to any more. */
  | { readonly kind: 'blobs'; readonly blobs: readonly string[] }
  /** All parts of a manifest that nothing refers to any more. */
  | { readonly kind: 'manifest'; readonly blob: string; readonly bucket?: number }
  /** Parts of an upload that was aborted, or that its completion left out. */
  | { readonly kind: 'parts'; readonly upload: string }

/** What a cell asks of the keepers of blobs (C19). */
export type BlobJob =
  /** A copy is durable here, and does not count yet. */
  | { readonly kind: 'hold'; readonly blob: string }
  /** A copy is durable here, or kept here, of what is to be in other regions: it goes there, and then from here. */
  | { readonly kind: 'yield'; readonly blob: string }
  /** Nothing here names the blob any more. `bucket`: since that one is not here any more, and its cells may name it. */
  | { readonly kind: 'leave'; readonly blob: string; readonly bucket?: number }
  /** A write under way needs the blob, until then: milliseconds since the epoch. */
  | {
      readonly kind: 'reserved'
      readonly blob: string
      readonly token: number
      readonly whole?: string
      readonly until: number
    }

const queue = 'collect'
const blobQueue = 'blobs'
const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function addJob(to: Transaction, job: Job): void {
  to.append(keys.job(queue), encoder.encode(JSON.stringify(job)))
}

export function readJobs(from: Snapshot, limit: number): Promise<readonly Entry[]> {
  const { from: first, to } = under('job', [queue])
  return from.range(first, to, { limit })
}

export function addBlobJob(to: Transaction, job: BlobJob): void {
  to.append(keys.job(blobQueue), encoder.encode(JSON.stringify(job)))
}

/** Those behind a row, or the first ones. */
export function readBlobJobs(from: Snapshot, start: Uint8Array | undefined, limit: number): Promise<readonly Entry[]> {
  const all = under('job', [blobQueue])
  return from.range(start ?? all.from, all.to, { limit })
}

export const decodeBlobJob = (value: Uint8Array): BlobJob => JSON.parse(decoder.decode(value)) as BlobJob

export const decodeJob = (value: Uint8Array): Job => JSON.parse(decoder.decode(value)) as Job
