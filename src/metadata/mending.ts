import { createHash } from 'node:crypto'
import { blobOf, type ObjectVersion } from '#src/model/version.ts'
import type { Transaction } from '#src/store/store.ts'
import { addReference, readBlob } from './blob-records.ts'
import { keys, slotOf } from './keyspace.ts'
import { readVersion } from './object-records.ts'
import type { Receiving } from './receive.ts'
import { addContent, type Received } from './received.ts'

/**
 * What records of another cell are good for beside the feeds: what belongs to a version that is here too, and is lost.
 *
 * O8  bytes beside a record take the place of others only where those are not what the record says, and these are.
 */
export interface Mended {
  /** What is left to be merged: without tombstones of what is not here, which this cell may have forgotten rightly. */
  readonly missing: readonly Received[]
  /** Versions to which something was given back. */
  readonly mended: number
}

export async function mend(to: Transaction, records: readonly Received[], receiving: Receiving): Promise<Mended> {
  const missing: Received[] = []
  let mended = 0
  for (const record of records) {
    if (record.kind !== 'removal') missing.push(record)
    else if ((await readVersion(to, record, record.slot === 0n ? 'null' : record.slot)) !== undefined)
      missing.push(record)
    if (record.kind === 'version' && (await mendContent(to, record, receiving))) mended++
  }
  return { missing, mended }
}

async function mendContent(
  to: Transaction,
  record: Extract<Received, { readonly kind: 'version' }>,
  { here }: Receiving,
): Promise<boolean> {
  const { bucket, key, version: told, content } = record
  if (told.kind === 'marker' || content === undefined) return false
  const there = await readVersion(to, record, told.isNull ? 'null' : told.stamp)
  if (there?.version.kind !== 'object' || there.version.stamp !== told.stamp) return false
  const { version } = there
  const slot = slotOf(version)
  if (content.kind === 'inline') {
    const row = keys.inline(bucket, key, slot)
    const bytes = await to.get(row)
    if (bytes !== undefined && (isGood(version, bytes) || !isGood(version, content.bytes))) return false
    to.set(row, content.bytes)
    return true
  }
  const blob = blobOf(version.content)
  if (blob === undefined) return false
  const isNamed = (await to.get(keys.reference(blob, bucket, key, slot))) !== undefined
  if (isNamed && (await readBlob(to, blob)) !== undefined) return false
  addReference(to, blob, { bucket, key, slot })
  await addContent(to, content, here)
  return true
}

/** Of encrypted bytes, and of an ETag that is no MD5, nobody can tell. */
function isGood({ etag, encryption }: ObjectVersion, bytes: Uint8Array): boolean {
  if (encryption !== undefined || !/^[0-9a-f]{32}$/.test(etag)) return true
  return createHash('md5').update(bytes).digest('hex') === etag
}
