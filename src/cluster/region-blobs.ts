import type { BlobCache } from '#src/blobs/blob-cache.ts'
import type { ChunkChecksums } from '#src/blobs/blobs.ts'
import { checksumOf, chunkBytes, chunkLength, chunksOf, idBytes } from '#src/blobs/frame.ts'
import { digestOfChecksums } from '#src/blobs/reader.ts'
import { Fault } from '#src/errors.ts'
import type { BlobRecord } from '#src/metadata/blob-codec.ts'
import { copyIn, regionsBeside } from '#src/metadata/blob-records.ts'
import type { BlobId } from '#src/model/blob.ts'
import { memberIn, memberOf } from '#src/model/region.ts'
import type { Foundation } from '#src/service/foundation.ts'
import type { RemoteBlobs } from '#src/service/remote-blobs.ts'
import type { Counters } from '#src/telemetry/counters.ts'
import type { Tracer } from '#src/telemetry/tracer.ts'
import { decodeRegions, encodeBlobId, encodeChunksRequest, isHere } from './blob-wire.ts'
import { ByteStream } from './byte-stream.ts'
import { Flight } from './flight.ts'
import { isOver, within } from './patience.ts'
import { mayKeep, type RestrictionOptions } from './restrictions.ts'
import type { Transport } from './transport.ts'

/** Milliseconds without a byte after which another region is asked. */
const patience = 10_000
/** For a keeper to say who holds a blob, in milliseconds. */
const askMilliseconds = 5_000
/** Of lists of checksums that are kept, in bytes: those of some 130 GiB. */
const checksumBytesMost = 4 * 2 ** 20

export interface RegionBlobsOptions extends RestrictionOptions {
  readonly foundation: Pick<Foundation, 'store' | 'world' | 'region' | 'cell'>
  readonly transport: Transport
  /** The regions, nearest first. */
  readonly nearest: (regions: readonly string[]) => readonly string[]
  readonly cache?: BlobCache
  readonly counters?: Counters
  readonly tracer?: Tracer | undefined
  /** Bytes that came, by the region that gave them. */
  readonly fetched?: Counters
  /** Told of each read of what is not held here. */
  readonly wanted: (blob: BlobId) => void
  /** Puts a copy in the place of one that cannot be read. */
  readonly repair: (blob: BlobId) => void
}

/**
 * Reads what other regions hold.
 *
 * Y1  a byte is given, or cached, only after the checksum of its chunk held, and the list of checksums it was on matched the
 *     digest in the blob's record: neither a source nor a cache is believed (I3).
 * Y2  a source that breaks off is followed by the next one at the same chunk; only when none is left, a read fails, with
 *     ServiceUnavailable and never with a 404 (C21).
 * Y5  what is restricted to other regions leaves nothing behind here: no cached copy, and no count of reads that would bring one.
 * Y3  however many read a chunk at the same time in a process, it is fetched once.
 */
export class RegionBlobs implements RemoteBlobs {
  readonly #options: RegionBlobsOptions
  readonly #flights = new Map<BlobId, Flight[]>()
  readonly #checksums = new Map<BlobId, ChunkChecksums>()
  #checksumBytes = 0

  constructor(options: RegionBlobsOptions) {
    this.#options = options
  }

  repair(blob: BlobId): void {
    this.#options.repair(blob)
  }

  read(blob: BlobId, record: BlobRecord, from: number, to: number): AsyncGenerator<Uint8Array> {
    const { foundation, wanted } = this.#options
    const isElsewhere = copyIn(record, foundation.region) === undefined
    if (record.restriction !== undefined) return this.#restricted(blob, record, from, to, isElsewhere)
    if (isElsewhere) wanted(blob)
    return this.fetch(blob, record, from, to)
  }

  /** As `read` of what may be for other regions only. */
  async *#restricted(
    blob: BlobId,
    record: BlobRecord,
    from: number,
    to: number,
    isElsewhere: boolean,
  ): AsyncGenerator<Uint8Array> {
    if (isElsewhere && (await this.#mayKeep(record))) this.#options.wanted(blob)
    yield* this.fetch(blob, record, from, to)
  }

  async #mayKeep(record: BlobRecord): Promise<boolean> {
    const { store } = this.#options.foundation
    return await store.snapshot((snapshot) => mayKeep(snapshot, record, this.#options, this.#options.foundation))
  }

  /** As `read`, on nobody's behalf who might come again. */
  fetch(blob: BlobId, record: BlobRecord, from: number, to: number): AsyncGenerator<Uint8Array> {
    const { tracer } = this.#options
    if (tracer?.current === undefined) return this.#pieces(blob, record, from, to)
    const attributes = { 'meridian.blob.bytes': to - from }
    return tracer.reading('blob read', { attributes }, (span) => {
      const places = new Set<string>()
      return this.#pieces(blob, record, from, to, (place) => {
        span?.set('meridian.served_from', [...places.add(place)].join(', '))
      })
    })
  }

  async *#pieces(
    blob: BlobId,
    record: BlobRecord,
    from: number,
    to: number,
    served?: (place: string) => void,
  ): AsyncGenerator<Uint8Array> {
    const last = chunksOf(to) - 1
    let flight: Flight | undefined
    try {
      for (let chunk = Math.floor(from / chunkBytes); chunk <= last; chunk++) {
        let bytes = flight?.holds(chunk) === true ? undefined : await this.#cached(blob, record, chunk)
        if (bytes === undefined) {
          if (flight?.offers(chunk) !== true) {
            flight?.leave()
            flight = this.#join(blob, record, chunk, last)
          }
          bytes = await flight.chunk(chunk)
          served?.(flight.source.region)
        } else served?.('cache')
        const start = chunk * chunkBytes
        yield bytes.subarray(Math.max(0, from - start), Math.min(bytes.length, to - start))
      }
    } finally {
      flight?.leave()
    }
  }

  /** The list that a blob's digest is over, if it was seen already. */
  knownChecksums(blob: BlobId): ChunkChecksums | undefined {
    return this.#checksums.get(blob)
  }

  async #cached(blob: BlobId, record: BlobRecord, chunk: number): Promise<Uint8Array | undefined> {
    const { cache, counters } = this.#options
    if (cache === undefined) return undefined
    const found = await cache.read(blob, chunk, chunkLength(record.size, chunk))
    counters?.add(found === undefined ? 'cache.misses' : 'cache.hits')
    return found
  }

  /** A flight that brings the chunk: one that is under way, or a new one. */
  #join(blob: BlobId, record: BlobRecord, first: number, last: number): Flight {
    const under = this.#flights.get(blob) ?? []
    const known = under.find((each) => each.offers(first))
    if (known !== undefined) {
      known.join()
      return known
    }
    const over = new AbortController()
    const source = { region: '' }
    const chunks = this.#fetch(blob, record, first, last, over.signal, source)
    const flight = new Flight(first, last, chunks, over, source)
    flight.join()
    this.#flights.set(blob, [...under, flight])
    over.signal.addEventListener('abort', () => this.#land(blob, flight), { once: true })
    return flight
  }

  #land(blob: BlobId, flight: Flight): void {
    const left = (this.#flights.get(blob) ?? []).filter((each) => each !== flight)
    if (left.length === 0) this.#flights.delete(blob)
    else this.#flights.set(blob, left)
  }

  /** Chunks from one source after the other, verified, each on its way into the cache when it is given. */
  async *#fetch(
    blob: BlobId,
    record: BlobRecord,
    first: number,
    last: number,
    signal: AbortSignal,
    source: { region: string },
  ): AsyncGenerator<Uint8Array> {
    const { counters, fetched, membership } = this.#options
    const isKept = record.restriction === undefined || (await this.#mayKeep(record))
    const cache = isKept ? this.#options.cache : undefined
    let next = first
    let cause: unknown
    for await (const cell of this.#sources(blob, record)) {
      const region = memberOf(membership(), cell)?.region ?? ''
      source.region = region
      try {
        for await (const bytes of this.#from(cell, blob, record, next, last, signal)) {
          counters?.add('blobs.fetchedBytes', bytes.length)
          fetched?.add(region, bytes.length)
          cache?.add(blob, next, bytes)
          next += 1
          yield bytes
        }
        return
      } catch (error) {
        signal.throwIfAborted()
        counters?.add('blobs.failedSources')
        cause = error
      }
    }
    throw new Fault('ServiceUnavailable', {}, { cause })
  }

  /** Cells to ask, each once: those whose regions are said to hold it, nearest first; then whom its keeper names; then all others. */
  async *#sources(blob: BlobId, record: BlobRecord): AsyncGenerator<number> {
    const { foundation, membership, nearest, transport } = this.#options
    const asked = new Set<number>([foundation.cell])
    const cellsIn = function* (regions: readonly string[]): Generator<number> {
      for (const region of nearest(regions)) {
        const cell = memberIn(membership(), region)?.cell
        if (cell === undefined || asked.has(cell)) continue
        asked.add(cell)
        yield cell
      }
    }
    yield* cellsIn(regionsBeside(record, foundation.region))
    const { keeper } = record
    const member = memberOf(membership(), keeper)
    if (member !== undefined && member.state !== 'removed' && keeper !== foundation.cell) {
      const answer = await within(foundation.world, askMilliseconds, (signal) =>
        transport.ask(keeper, 'holders', encodeBlobId(blob), signal),
      ).catch(() => undefined)
      if (answer !== undefined) yield* cellsIn(decodeRegions(answer).filter((each) => each !== foundation.region))
    }
    // A keeper that is lost takes along who knew where the other copies are.
    yield* cellsIn(membership().members.map(({ region }) => region))
  }

  async *#from(
    cell: number,
    blob: BlobId,
    record: BlobRecord,
    first: number,
    last: number,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const { transport, foundation } = this.#options
    const over = new AbortController()
    const abort = (): void => over.abort(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    try {
      signal.throwIfAborted()
      const known = this.#checksums.get(blob)
      const request = encodeChunksRequest({ blob, first, last, wantsChecksums: known === undefined })
      const stream = new ByteStream(transport.stream(cell, 'blob', request, over.signal), foundation.world, patience)
      const [answer] = await stream.take(1)
      if (answer !== isHere) throw new Error(`cell ${cell} does not have the blob`)
      const checksums = known ?? this.#keep(blob, record, await stream.take(4 * chunksOf(record.size)), cell)
      const id = idBytes(blob)
      for (let chunk = first; chunk <= last; chunk++) {
        const bytes = await stream.take(chunkLength(record.size, chunk))
        const expected = Buffer.from(checksums.buffer, checksums.byteOffset + 4 * chunk, 4).readUInt32BE()
        if (checksumOf(id, chunk, bytes) !== expected) throw new Error(`cell ${cell} sent other bytes`)
        yield bytes
      }
    } finally {
      signal.removeEventListener('abort', abort)
      over.abort(isOver)
    }
  }

  #keep(blob: BlobId, { digest }: BlobRecord, checksums: Uint8Array, cell: number): ChunkChecksums {
    if (digestOfChecksums(checksums) !== digest) throw new Error(`cell ${cell} has another blob under this id`)
    this.#checksums.set(blob, checksums)
    this.#checksumBytes += checksums.length
    for (const [oldest, list] of this.#checksums) {
      if (this.#checksumBytes <= checksumBytesMost || oldest === blob) break
      this.#checksums.delete(oldest)
      this.#checksumBytes -= list.length
    }
    return checksums
  }
}
