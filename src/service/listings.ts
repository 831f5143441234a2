import { Fault } from '#src/errors.ts'
import { keys, under } from '#src/metadata/keyspace.ts'
import type { Namespace } from '#src/metadata/namespace.ts'
import { readLatest, readVersion } from '#src/metadata/object-records.ts'
import { decodeUpload, uploadOfRow } from '#src/metadata/upload-records.ts'
import { decodeSummary, decodeVersion } from '#src/metadata/version-codec.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { commonPrefix, ListingPage, scanStart } from '#src/model/listing.ts'
import { formatStamp, parseStamp, type Stamp } from '#src/model/stamp.ts'
import type { Upload } from '#src/model/upload.ts'
import type { ObjectSummary } from '#src/model/version.ts'
import type { Entry, Snapshot, Store } from '#src/store/store.ts'
import { afterKey } from '#src/store/tuple.ts'
import { checkIsHere } from './bucket-places.ts'
import type { Foundation } from './foundation.ts'
import { ListingScan, type ScanOptions } from './listing-scan.ts'
import type { BucketSize, Listed, ListedVersion, Listing, Listings, ListQuery } from './listing-services.ts'
import { VersionWalk } from './version-walk.ts'

const measuredRows = 1000

type ObjectsQuery = Parameters<Listings['objects']>[0]
type VersionsQuery = Parameters<Listings['versions']>[0]
type UploadsQuery = Parameters<Listings['uploads']>[0]

/**
 * The listings of one cell. A page is read from one snapshot, in batches, with one seek for each common prefix, so it costs
 * what it shows, whatever else the bucket holds.
 */
export class CellListings implements Listings {
  readonly #store: Store
  readonly #namespace: Namespace
  readonly #places: Pick<Foundation, 'hasBucket'>

  constructor(foundation: Pick<Foundation, 'store' | 'namespace' | 'hasBucket'>) {
    this.#store = foundation.store
    this.#namespace = foundation.namespace
    this.#places = foundation
  }

  async objects(query: ObjectsQuery): Promise<Listing<Listed>> {
    return await this.#page<Listed>(query, async (snapshot, bucket, page) => {
      const start = { key: scanStart(query, query.after ?? '') }
      const scan = new ListingScan(snapshot, options('current', bucket, query), start)
      for (;;) {
        const row = scan.read ?? (await scan.peek())
        if (row === undefined) return {}
        const key = scan.reader(row).text()
        const offered = page.offer(key, () => ({ key, version: summaryOf(row), ...restoreOf(query, row.value) }))
        if (offered === 'full') return nextAfter(page)
        scan.advance()
        if (offered === 'under') scan.pass(page.lastKey ?? '')
      }
    })
  }

  async versions(query: VersionsQuery): Promise<Listing<ListedVersion>> {
    return await this.#page<ListedVersion>(query, async (snapshot, bucket, page) => {
      const walk = await startWalk(snapshot, bucket, query)
      let last: Stamp = 0n
      for (;;) {
        const step = await walk.step()
        if (step === undefined) return {}
        const { key, version, isLatest, record } = step
        const versionId = version.isNull ? 'null' : formatStamp(version.stamp)
        const offered = page.offer(key, () => ({ key, version, isLatest, versionId, ...restoreOf(query, record) }))
        // A stamp also where the version is `null`: it stays a place in the order when that version is gone.
        if (offered === 'full') {
          return { ...nextAfter(page), ...(!page.isLastPrefix && { nextVersionId: formatStamp(last) }) }
        }
        last = version.stamp
        walk.goOn(offered === 'under' ? page.lastKey : undefined)
      }
    })
  }

  async uploads(query: UploadsQuery): Promise<Listing<Upload>> {
    return await this.#page<Upload>(query, async (snapshot, bucket, page) => {
      const { keyMarker = '', uploadIdMarker } = query
      const start =
        uploadIdMarker !== undefined && isShown(keyMarker, query)
          ? { row: afterKey(keys.upload(bucket, keyMarker, uploadIdMarker)) }
          : { key: scanStart(query, keyMarker) }
      const scan = new ListingScan(snapshot, options('upload', bucket, query), start)
      let last = ''
      for (;;) {
        const row = scan.read ?? (await scan.peek())
        if (row === undefined) return {}
        const { key, id } = uploadOfRow(row.key)
        const offered = page.offer(key, () => decodeUpload(id, { bucket: query.bucket, key }, row.value))
        if (offered === 'full') return { ...nextAfter(page), ...(!page.isLastPrefix && { nextUploadId: last }) }
        last = id
        scan.advance()
        if (offered === 'under') scan.pass(page.lastKey ?? '')
      }
    })
  }

  /** In pages, each from a snapshot of its own: no store keeps one open for as long as a large bucket takes. */
  async measure(bucket: Bucket, most: number): Promise<BucketSize | undefined> {
    const { from, to } = under('current', [bucket.id])
    let objects = 0
    let bytes = 0
    for (let next = from; ; ) {
      const rows = await this.#store.snapshot((snapshot) => snapshot.range(next, to, { limit: measuredRows }))
      for (const row of rows) bytes += summaryOf(row).size
      objects += rows.length
      const last = rows.at(-1)
      if (objects > most) return undefined
      if (last === undefined || rows.length < measuredRows) return { objects, bytes }
      next = afterKey(last.key)
    }
  }

  async #page<Item>(
    query: ListQuery,
    fill: (snapshot: Snapshot, bucket: number, page: ListingPage<Item>) => Promise<Next>,
  ): Promise<Listing<Item>> {
    return await this.#store.snapshot(async (snapshot) => {
      const bucket = await this.#namespace.existingBucket(snapshot, query.bucket)
      checkIsHere(this.#places, bucket)
      query.guard(undefined, bucket)
      const page = new ListingPage<Item>(query, query.limit)
      const next = query.limit === 0 ? {} : await fill(snapshot, bucket.id, page)
      return { items: page.items, prefixes: page.prefixes, isTruncated: page.isTruncated, ...next }
    })
  }
}

function restoreOf({ showsRestores }: ListQuery, record: Uint8Array): Pick<Listed, 'restore'> {
  const version = showsRestores === true ? decodeVersion(record) : undefined
  return version?.kind === 'object' && version.restore !== undefined ? { restore: version.restore } : {}
}

type Next = Pick<Listing<unknown>, 'nextKey' | 'nextVersionId' | 'nextUploadId'>

const nextAfter = ({ lastKey }: ListingPage<unknown>): Next => (lastKey === undefined ? {} : { nextKey: lastKey })

const options = (space: ScanOptions['space'], bucket: number, query: ListQuery): ScanOptions => ({
  space,
  bucket,
  scope: query,
  most: query.limit + 1,
})

function summaryOf(row: Entry): ObjectSummary {
  const summary = decodeSummary(row.value)
  if (summary.kind === 'marker') throw new Error('a delete marker under current')
  return summary
}

async function startWalk(snapshot: Snapshot, bucket: number, query: VersionsQuery): Promise<VersionWalk> {
  const { keyMarker = '', versionIdMarker } = query
  const current = options('current', bucket, query)
  const version = options('version', bucket, query)
  const within = isShown(keyMarker, query) && versionIdMarker !== undefined
  const stamp = within ? await stampOf(snapshot, { bucket, key: keyMarker }, versionIdMarker) : undefined
  if (stamp === undefined) {
    const start = { key: scanStart(query, keyMarker) }
    return new VersionWalk(
      new ListingScan(snapshot, current, start),
      new ListingScan(snapshot, version, start),
      undefined,
    )
  }
  const latest = await readLatest(snapshot, { bucket, key: keyMarker })
  if (latest === undefined || latest.version.stamp < stamp) {
    const start = { key: Buffer.from(keyMarker) }
    return new VersionWalk(
      new ListingScan(snapshot, current, start),
      new ListingScan(snapshot, version, start),
      undefined,
    )
  }
  // What lies under `current` is the latest, so it was shown.
  return new VersionWalk(
    new ListingScan(snapshot, current, { key: scanStart(query, keyMarker) }),
    new ListingScan(snapshot, version, { row: afterKey(keys.version(bucket, keyMarker, stamp)) }),
    keyMarker,
  )
}

/** Whether a key would be shown itself. */
const isShown = (key: string, query: ListQuery): boolean =>
  key !== '' && key.startsWith(query.prefix) && commonPrefix(key, query) === undefined

async function stampOf(
  snapshot: Snapshot,
  place: { readonly bucket: number; readonly key: string },
  id: string,
): Promise<Stamp> {
  const stamp = id === 'null' ? (await readVersion(snapshot, place, id))?.version.stamp : parseStamp(id)
  if (stamp === undefined) {
    throw new Fault('InvalidArgument', {
      message: 'Invalid version id specified',
      ArgumentName: 'version-id-marker',
      ArgumentValue: id,
    })
  }
  return stamp
}
