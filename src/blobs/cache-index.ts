import type { BlobId } from '#src/model/blob.ts'
import { alignment } from './frame.ts'

/** Where a frame begins. */
export interface CachePlace {
  readonly segment: number
  readonly offset: number
}

/** Frames begin at multiples of 512 in segments of at most 512 MiB: a place is one number, and a chunk costs some 40 bytes. */
const placesPerSegment = 2 ** 20

const pack = ({ segment, offset }: CachePlace): number => segment * placesPerSegment + offset / alignment
const segmentOf = (packed: number): number => Math.floor(packed / placesPerSegment)

/** Which cached chunk lies where, as this process knows it. What it says may be out of date: whoever reads there verifies. */
export class CacheIndex {
  readonly #chunks = new Map<BlobId, Map<number, number>>()
  readonly #blobs = new Map<number, Set<BlobId>>()

  /** The newest place stands. */
  add(id: BlobId, chunk: number, place: CachePlace): void {
    const chunks = this.#chunks.get(id) ?? new Map<number, number>()
    const packed = pack(place)
    if ((chunks.get(chunk) ?? 0) > packed) return
    this.#chunks.set(id, chunks.set(chunk, packed))
    const blobs = this.#blobs.get(place.segment) ?? new Set<BlobId>()
    this.#blobs.set(place.segment, blobs.add(id))
  }

  find(id: BlobId, chunk: number): CachePlace | undefined {
    const packed = this.#chunks.get(id)?.get(chunk)
    if (packed === undefined) return undefined
    return { segment: segmentOf(packed), offset: (packed % placesPerSegment) * alignment }
  }

  /** Forgets that a chunk lies there, if it is still thought to. */
  drop(id: BlobId, chunk: number, place: CachePlace): void {
    const chunks = this.#chunks.get(id)
    if (chunks?.get(chunk) !== pack(place)) return
    chunks.delete(chunk)
    if (chunks.size === 0) this.#chunks.delete(id)
  }

  dropSegment(segment: number): void {
    for (const id of this.#blobs.get(segment) ?? []) {
      const chunks = this.#chunks.get(id)
      if (chunks === undefined) continue
      for (const [chunk, packed] of chunks) if (segmentOf(packed) === segment) chunks.delete(chunk)
      if (chunks.size === 0) this.#chunks.delete(id)
    }
    this.#blobs.delete(segment)
  }
}
