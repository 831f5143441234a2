import { keys, under } from '#src/metadata/keyspace.ts'
import { decodeVersion } from '#src/metadata/version-codec.ts'
import { formatStamp } from '#src/model/stamp.ts'
import type { Version } from '#src/model/version.ts'
import type { Listings } from '#src/service/listing-services.ts'
import type { View } from '#src/store/overlay.ts'
import { TupleReader } from '#src/store/tuple.ts'
import { Violation } from './births.ts'
import { guard, type SimulatedBucket } from './content.ts'

/** The versions of each key of a bucket, newest first, from the rows alone: nothing of the code that lists is used. */
function versionsIn(view: View, bucket: number): ReadonlyMap<string, readonly Version[]> {
  const found = new Map<string, Map<bigint, Version>>()
  for (const space of ['current', 'version'] as const) {
    const all = under(space, [bucket])
    for (const { key: row, value } of view.range(all.from, all.to, Number.POSITIVE_INFINITY, false)) {
      const reader = new TupleReader(row, 1)
      reader.number()
      const key = reader.text()
      const version = decodeVersion(value)
      const ofKey = found.get(key) ?? new Map<bigint, Version>()
      found.set(key, ofKey.set(version.stamp, version))
    }
  }
  const names = [...found.keys()].sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)))
  return new Map(
    names.map((key) => [
      key,
      [...(found.get(key)?.values() ?? [])].sort((one, other) => (one.stamp > other.stamp ? -1 : 1)),
    ]),
  )
}

const idOf = (version: Version): string => (version.isNull ? 'null' : formatStamp(version.stamp))

/** L1, O1: each key whose newest version is an object is listed, at that version, and no other key is. */
export async function checkObjects(view: View, listings: Listings, bucket: SimulatedBucket, limit: number) {
  const wanted = [...versionsIn(view, bucket.id)].flatMap(([key, [newest]]) =>
    newest?.kind === 'object' ? [{ key, version: newest }] : [],
  )
  const expected = wanted.slice(0, limit).map(({ key, version }) => `${key} ${version.size} ${version.etag}`)
  const page = await listings.objects({ bucket: bucket.name, prefix: '', delimiter: '', limit, guard })
  const listed = page.items.map(({ key, version }) => `${key} ${version.size} ${version.etag}`)
  compare(bucket, expected, listed)
  if (page.isTruncated !== wanted.length > limit) throw new Violation(`${bucket.name}: a page that ends wrongly`)
  for (const { key, version } of wanted) {
    const current = view.get(keys.current(bucket.id, key))
    const stands = current === undefined ? undefined : decodeVersion(current).stamp
    if (stands !== version.stamp)
      throw new Violation(`${key}: ${stands} is current, and ${version.stamp} is the newest`)
  }
}

/** L1: all versions of all keys, the newest of each first. */
export async function checkVersions(view: View, listings: Listings, bucket: SimulatedBucket, limit: number) {
  const expected = [...versionsIn(view, bucket.id)].flatMap(([key, versions]) =>
    versions.map((version, place) => `${key} ${idOf(version)} ${version.kind} ${place === 0}`),
  )
  const page = await listings.versions({ bucket: bucket.name, prefix: '', delimiter: '', limit, guard })
  const listed = page.items.map(
    ({ key, version, versionId, isLatest }) => `${key} ${versionId} ${version.kind} ${isLatest}`,
  )
  compare(bucket, expected.slice(0, limit), listed)
}

function compare({ name }: SimulatedBucket, expected: readonly string[], listed: readonly string[]): void {
  for (let place = 0; place < Math.max(expected.length, listed.length); place++) {
    if (expected[place] === listed[place]) continue
    throw new Violation(`${name}: a listing shows ${listed[place]} where ${expected[place]} stands`)
  }
}
