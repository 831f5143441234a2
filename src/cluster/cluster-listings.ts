import { Fault } from '#src/errors.ts'
import type { Namespace } from '#src/metadata/namespace.ts'
import { cellsOf, memberOf } from '#src/model/region.ts'
import type { Upload } from '#src/model/upload.ts'
import type { Listing, Listings } from '#src/service/listing-services.ts'
import type { Store } from '#src/store/store.ts'
import type { Members } from './members.ts'
import { decodeMessage, encodeMessage } from './messages.ts'
import { type Method, PeerUnreachable, type Transport } from './transport.ts'

type UploadsQuery = Parameters<Listings['uploads']>[0]
type Asked = Omit<UploadsQuery, 'guard'>

/** What a listing tells of an upload. */
type Told = Omit<Upload, 'attributes' | 'encryption'> & Pick<Upload['attributes'], 'owner' | 'storageClass'>

type Answer = Omit<Listing<Upload>, 'items'> & { readonly items: readonly Told[] }

export interface ClusterListingsParts {
  readonly local: Listings
  readonly store: Store
  readonly namespace: Namespace
  readonly members: Members
  readonly transport: Transport
}

const tell = ({ attributes: { owner, storageClass }, encryption: _, ...rest }: Upload): Told => ({
  ...rest,
  owner,
  storageClass,
})

const heard = ({ owner, storageClass, ...rest }: Told): Upload => ({
  ...rest,
  attributes: { owner, storageClass, headers: {}, metadata: new Map(), acl: { owner, grants: [] } },
})

/** What other cells ask, once their own guard has let the caller in. */
export const uploadsMethod = (local: Listings): Method => ({
  name: 'uploads',
  async answer(request) {
    const listing = await local.uploads({ ...decodeMessage<Asked>(request), guard: () => {} })
    return encodeMessage({ ...listing, items: listing.items.map(tell) } satisfies Answer)
  },
})

/** Listings where a bucket may have uploads in several cells (C26); all else is in each of them. */
export class ClusterListings implements Listings {
  readonly #parts: ClusterListingsParts

  constructor(parts: ClusterListingsParts) {
    this.#parts = parts
  }

  measure(...args: Parameters<Listings['measure']>): ReturnType<Listings['measure']> {
    return this.#parts.local.measure(...args)
  }

  objects(...args: Parameters<Listings['objects']>): ReturnType<Listings['objects']> {
    return this.#parts.local.objects(...args)
  }

  versions(...args: Parameters<Listings['versions']>): ReturnType<Listings['versions']> {
    return this.#parts.local.versions(...args)
  }

  /** Fault `ServiceUnavailable` where one of the cells cannot be asked: a listing without its uploads would be wrong. */
  async uploads(query: UploadsQuery): Promise<Listing<Upload>> {
    const { local, store, namespace, members } = this.#parts
    const own = await local.uploads(query)
    const bucket = await store.snapshot((snapshot) => namespace.existingBucket(snapshot, query.bucket))
    const { membership, self } = members
    // One that leaves has its uploads until they have come to their end; one that joins never had any.
    const mayHave = (cell: number): boolean => memberOf(membership, cell)?.state !== 'joining'
    const others = cellsOf(bucket.location, membership).filter((cell) => cell !== self.cell && mayHave(cell))
    if (others.length === 0) return own
    const { guard: _, ...asked } = query
    return merged([own, ...(await Promise.all(others.map((cell) => this.#ask(cell, asked))))], query.limit)
  }

  async #ask(cell: number, asked: Asked): Promise<Listing<Upload>> {
    try {
      const answer = await this.#parts.transport.ask(
        cell,
        'uploads',
        encodeMessage(asked),
        AbortSignal.timeout(patience),
      )
      const { items, ...rest } = decodeMessage<Answer>(answer)
      return { ...rest, items: items.map(heard) }
    } catch (cause) {
      if (cause instanceof Fault) throw cause
      const message = 'A region that has uploads of this bucket cannot be reached.'
      throw new Fault('ServiceUnavailable', { message }, cause instanceof PeerUnreachable ? { cause } : {})
    }
  }
}

/** How long a cell may take for a page, in milliseconds. */
const patience = 15_000

interface Row {
  readonly key: Buffer
  readonly id: string
  readonly item: Upload | string
}

/** The first rows of several pages that begin at the same place, as one page. */
export function merged(pages: readonly Listing<Upload>[], limit: number): Listing<Upload> {
  const rows: Row[] = []
  for (const prefix of new Set(pages.flatMap(({ prefixes }) => prefixes))) {
    rows.push({ key: Buffer.from(prefix), id: '', item: prefix })
  }
  for (const item of pages.flatMap(({ items }) => items)) {
    rows.push({ key: Buffer.from(item.name.key), id: item.id, item })
  }
  rows.sort((a, b) => Buffer.compare(a.key, b.key) || (a.id < b.id ? -1 : Number(a.id > b.id)))
  const shown = rows.slice(0, limit)
  const isTruncated = rows.length > shown.length || pages.some((page) => page.isTruncated)
  const last = shown.at(-1)
  const listing = {
    items: shown.flatMap(({ item }) => (typeof item === 'string' ? [] : [item])),
    prefixes: shown.flatMap(({ item }) => (typeof item === 'string' ? [item] : [])),
    isTruncated,
  }
  if (!isTruncated || last === undefined) return listing
  const next = { ...listing, nextKey: last.key.toString() }
  return typeof last.item === 'string' ? next : { ...next, nextUploadId: last.id }
}
