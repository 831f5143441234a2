import { isKnown } from '#src/metadata/object-records.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { Shadow } from '#src/model/shadow.ts'
import type { Foundation } from './foundation.ts'
import type { Listed, Listing, Listings, ListQuery } from './listing-services.ts'
import { ShadowFailed, type ShadowImports, virtualVersion } from './shadow-imports.ts'

type ObjectsQuery = Parameters<Listings['objects']>[0]

interface Entry {
  /** A key, or a common prefix. */
  readonly name: string
  readonly item?: Listed
}

/** Entries in order, and how far they go: the names up to `end` are all there; undefined: up to the last. */
interface Side {
  readonly entries: readonly Entry[]
  readonly end: string | undefined
}

const compare = (one: string, other: string): number => Buffer.compare(Buffer.from(one), Buffer.from(other))

/** Behind every key that begins with a prefix. */
const lastCharacter = '\u{10ffff}'

/** Listings as they are, and of buckets with a shadow what that one has besides, where it is asked for. */
export class ShadowListings implements Listings {
  readonly #inner: Listings
  readonly #foundation: Foundation
  readonly #imports: ShadowImports

  constructor(inner: Listings, foundation: Foundation, imports: ShadowImports) {
    this.#inner = inner
    this.#foundation = foundation
    this.#imports = imports
  }

  async measure(...[bucket, most]: Parameters<Listings['measure']>): ReturnType<Listings['measure']> {
    return await this.#inner.measure(bucket, most)
  }

  async versions(query: Parameters<Listings['versions']>[0]): ReturnType<Listings['versions']> {
    return await this.#inner.versions(query)
  }

  async uploads(query: Parameters<Listings['uploads']>[0]): ReturnType<Listings['uploads']> {
    return await this.#inner.uploads(query)
  }

  async objects(query: ObjectsQuery): Promise<Listing<Listed>> {
    let seen: Bucket | undefined
    const guard: ListQuery['guard'] = (version, bucket) => {
      seen = bucket
      query.guard(version, bucket)
    }
    const here = await this.#inner.objects({ ...query, guard })
    const shadow = seen?.shadow
    if (seen === undefined || shadow === undefined || query.limit === 0) return here
    const source = query.source ?? (shadow.writeThrough ? 'both' : 'here')
    if (source === 'here') return here
    const there = await this.#there(seen, shadow, query)
    if (source === 'shadow') return page([there], query.limit)
    return page([sideOf(here), { ...there, entries: await this.#unknown(seen, there.entries) }], query.limit)
  }

  async #there(bucket: Bucket, shadow: Shadow, query: ObjectsQuery): Promise<Side> {
    const { prefix, delimiter, limit } = query
    const isPrefix = delimiter !== '' && query.after?.endsWith(delimiter) === true
    const start = isPrefix ? `${query.after}${lastCharacter}` : query.after
    const after = start === '' ? undefined : start
    try {
      const source = await this.#imports.source({ bucket, shadow })
      const found = await source.list({ prefix, delimiter, after, limit }, this.#imports.signal)
      const items = found.items.map(({ key, ...object }): Entry => {
        const version = virtualVersion(bucket, { ...object, headers: {}, metadata: new Map() })
        return { name: key, item: { key, version } }
      })
      const prefixes = found.prefixes.map((name): Entry => ({ name }))
      const entries = [...items, ...prefixes].sort((one, other) => compare(one.name, other.name))
      return { entries, end: found.isTruncated ? entries.at(-1)?.name : undefined }
    } catch (error) {
      throw new ShadowFailed(error)
    }
  }

  /** What is known here is as it is here; what was deleted here is not there either. */
  async #unknown({ id: bucket }: Bucket, entries: readonly Entry[]): Promise<readonly Entry[]> {
    return await this.#foundation.store.snapshot(async (snapshot) => {
      const known = await Promise.all(
        entries.map(({ item }) => item !== undefined && isKnown(snapshot, { bucket, key: item.key })),
      )
      return entries.filter((_, at) => known[at] !== true)
    })
  }
}

function sideOf({ items, prefixes, isTruncated, nextKey }: Listing<Listed>): Side {
  const entries = [...items.map((item): Entry => ({ name: item.key, item })), ...prefixes.map((name) => ({ name }))]
  return {
    entries: entries.sort((one, other) => compare(one.name, other.name)),
    end: isTruncated ? nextKey : undefined,
  }
}

/** As far as all sides go, and the page has room. */
function page(sides: readonly Side[], limit: number): Listing<Listed> {
  const ends = sides.flatMap(({ end }) => end ?? [])
  const end = ends.length === 0 ? undefined : ends.reduce((one, other) => (compare(one, other) < 0 ? one : other))
  const byName = new Map<string, Entry>()
  for (const entry of sides.flatMap(({ entries }) => entries)) {
    if (!byName.has(entry.name) && (end === undefined || compare(entry.name, end) <= 0)) byName.set(entry.name, entry)
  }
  const all = [...byName.values()].sort((one, other) => compare(one.name, other.name))
  const shown = all.slice(0, limit)
  const isTruncated = all.length > limit || end !== undefined
  const next = all.length > limit ? shown.at(-1)?.name : end
  return {
    items: shown.flatMap(({ item }) => item ?? []),
    prefixes: shown.flatMap(({ item, name }) => (item === undefined ? [name] : [])),
    isTruncated,
    ...(isTruncated && next !== undefined && { nextKey: next }),
  }
}
