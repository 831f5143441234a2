import type { BlobRecord } from '#src/metadata/blob-codec.ts'
import { copyIn, readBlob, readManifest } from '#src/metadata/blob-records.ts'
import { keys, under } from '#src/metadata/keyspace.ts'
import { readCurrent } from '#src/metadata/object-records.ts'
import type { BlobId } from '#src/model/blob.ts'
import type { Foundation } from '#src/service/foundation.ts'
import type { Snapshot } from '#src/store/store.ts'
import { afterKey, TupleReader } from '#src/store/tuple.ts'
import { mayKeep, type RestrictionOptions } from './restrictions.ts'

export interface PrefetchingOptions extends RestrictionOptions {
  readonly foundation: Pick<Foundation, 'store' | 'world' | 'namespace' | 'region' | 'hasBucket'>
  /** Has blobs held here, durably, some time later. */
  readonly hold: (blobs: readonly BlobId[]) => Promise<void>
  /** Reads all of a blob through the cache of this region. */
  readonly cache: (blob: BlobId, record: BlobRecord) => AsyncIterable<unknown>
  /** How many keys behind one that is read under a hot prefix are fetched ahead; 0: none. */
  readonly siblings: number
}

/** A prefix is hot while so many of its keys were read for the first time within this many milliseconds. */
const hotKeys = 4
const hotMilliseconds = 60_000
const prefixesMost = 1_000
/** Of larger blobs nobody knows that all of them will be read. */
const siblingBytesMost = 16 * 2 ** 20
const fetchedAtOnce = 2
const waitingMost = 256
/** Blobs that one listing asks for. */
const listedMost = 1_000
const keysPerRead = 100
/** Blobs that were asked for lately, and are not again. */
const knownMost = 20_000

/**
 * Fetches from other regions what is likely to be read here next: what a listing showed whose client says so, and what stands behind a
 * key in the order of listings, where several of a prefix were read. What it knows is this process's, and may be lost.
 */
export class Prefetching {
  readonly #options: PrefetchingOptions
  readonly #known = new Set<BlobId>()
  readonly #prefixes = new Map<string, { readonly since: number; readonly keys: Set<string> }>()
  readonly #fetching = new Set<Promise<void>>()
  #waiting: (readonly [BlobId, BlobRecord])[] = []
  #isStopped = false

  constructor(options: PrefetchingOptions) {
    this.#options = options
  }

  /** The current versions of these keys become durable here too. */
  async listed(name: string, listed: readonly string[]): Promise<void> {
    const { store, namespace, hasBucket } = this.#options.foundation
    const wanted: BlobId[] = []
    for (let first = 0; first < listed.length && wanted.length < listedMost; first += keysPerRead) {
      await store.snapshot(async (snapshot) => {
        const bucket = await namespace.bucket(snapshot, name)
        if (bucket === undefined || hasBucket?.(bucket) === false) return
        for (const key of listed.slice(first, first + keysPerRead)) {
          for (const [blob] of await this.#elsewhere(snapshot, bucket.id, key)) wanted.push(blob)
        }
      })
    }
    const fresh = wanted.slice(0, listedMost).filter((blob) => this.#isNew(blob))
    if (fresh.length > 0) await this.#options.hold(fresh)
  }

  /** A blob of another region was read here for the first time. */
  async read(blob: BlobId): Promise<void> {
    const { siblings, foundation } = this.#options
    if (siblings === 0) return
    const found = await foundation.store.snapshot(async (snapshot) => {
      const place = await placeOf(snapshot, blob)
      if (place === undefined || !this.#isHot(place)) return []
      const { bucket, key } = place
      const start = afterKey(keys.current(bucket, key))
      const rows = await snapshot.range(start, under('current', [bucket]).to, { limit: siblings })
      const next = rows.map((row) => keyOf(row.key)).filter((each) => each.startsWith(prefixOf(key)))
      return (await Promise.all(next.map((each) => this.#elsewhere(snapshot, bucket, each)))).flat()
    })
    if (this.#isStopped) return
    for (const [each, record] of found) {
      const isSmall = record.size <= siblingBytesMost
      if (isSmall && this.#waiting.length < waitingMost && this.#isNew(each)) this.#waiting.push([each, record])
    }
    while (this.#fetching.size < fetchedAtOnce && this.#waiting.length > 0) {
      const fetching: Promise<void> = this.#fetch().finally(() => this.#fetching.delete(fetching))
      this.#fetching.add(fetching)
    }
  }

  /** For good: gives up what it is fetching with the next piece that comes. Resolves once nothing is fetched any more. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#waiting = []
    await Promise.all(this.#fetching)
  }

  async #fetch(): Promise<void> {
    try {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
        for await (const _ of this.#options.cache(...next)) if (this.#isStopped) return
      }
    } catch {
      // Nobody waits for it: whoever reads it fetches it, or hears why not.
    }
  }

  #isNew(blob: BlobId): boolean {
    if (this.#known.has(blob)) return false
    this.#known.add(blob)
    const [oldest] = this.#known
    if (this.#known.size > knownMost && oldest !== undefined) this.#known.delete(oldest)
    return true
  }

  #isHot({ bucket, key }: { readonly bucket: number; readonly key: string }): boolean {
    const now = this.#options.foundation.world.monotonic()
    const name = `${bucket} ${prefixOf(key)}`
    const before = this.#prefixes.get(name)
    const state =
      before === undefined || now - before.since > hotMilliseconds ? { since: now, keys: new Set<string>() } : before
    this.#prefixes.delete(name)
    this.#prefixes.set(name, state)
    const [oldest] = this.#prefixes.keys()
    if (this.#prefixes.size > prefixesMost && oldest !== undefined) this.#prefixes.delete(oldest)
    if (state.keys.size < hotKeys) state.keys.add(key)
    return state.keys.size === hotKeys
  }

  /** What the current version of a key consists of and this region does not hold. */
  async #elsewhere(from: Snapshot, bucket: number, key: string): Promise<readonly (readonly [BlobId, BlobRecord])[]> {
    const content = (await readCurrent(from, { bucket, key }))?.version.content
    if (content === undefined || content.kind === 'inline' || content.kind === 'remote') return []
    const blobs =
      content.kind === 'blob' ? [content.blob] : (await readManifest(from, content.blob)).map(({ blob }) => blob)
    const found: (readonly [BlobId, BlobRecord])[] = []
    for (const blob of blobs) {
      const record = await readBlob(from, blob)
      if (record?.kind !== 'bytes' || copyIn(record, this.#options.foundation.region) !== undefined) continue
      if (await mayKeep(from, record, this.#options, this.#options.foundation)) found.push([blob, record])
    }
    return found
  }
}

const prefixOf = (key: string): string => key.slice(0, key.lastIndexOf('/') + 1)

function keyOf(row: Uint8Array): string {
  const reader = new TupleReader(row, 1)
  reader.number()
  return reader.text()
}

/** A version that names a blob; undefined: none does, as of the parts of an object. */
async function placeOf(from: Snapshot, blob: BlobId): Promise<{ bucket: number; key: string } | undefined> {
  const { from: first, to } = under('reference', [Buffer.from(blob, 'hex')])
  const [row] = await from.range(first, to, { limit: 1 })
  if (row === undefined) return undefined
  const reader = new TupleReader(row.key, 1)
  reader.bytes()
  return { bucket: reader.number(), key: reader.text() }
}
