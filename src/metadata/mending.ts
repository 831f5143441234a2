import type { Stamp } from '#src/model/stamp.ts'
import { blobOf, type ObjectVersion, restrictionOf } from '#src/model/version.ts'
import type { Transaction } from '#src/store/store.ts'
import { addReference, readBlob } from './blob-records.ts'
import { readConflict } from './conflict-records.ts'
import { keys, slotOf } from './keyspace.ts'
import { readVersion } from './object-records.ts'
import type { Receiving } from './receive.ts'
import { addContent, areBytesOf, type Received } from './received.ts'

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
    if (record.kind !== 'removal' && (await mendContent(to, record, receiving))) mended++
  }
  return { missing, mended }
}

type Telling = Extract<Received, { readonly kind: 'version' | 'conflict' }>

/** The version here that a record is another copy of, and the slot that what belongs to it lies under. */
async function readCopy(
  to: Transaction,
  record: Telling,
): Promise<{ readonly version: ObjectVersion; readonly slot: Stamp } | undefined> {
  if (record.kind === 'conflict') {
    const { stamp } = record.conflict.version
    const there = await readConflict(to, record, stamp)
    if (there === undefined || there.conflict.isSettled) return undefined
    return { version: there.conflict.version, slot: stamp }
  }
  const { version: told } = record
  const there = (await readVersion(to, record, told.isNull ? 'null' : told.stamp))?.version
  if (there?.kind !== 'object' || there.stamp !== told.stamp) return undefined
  return { version: there, slot: slotOf(there) }
}

async function mendContent(to: Transaction, record: Telling, receiving: Receiving): Promise<boolean> {
  const { bucket, key, content } = record
  const copy = content === undefined ? undefined : await readCopy(to, record)
  if (content === undefined || copy === undefined) return false
  const { version, slot } = copy
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
  await addContent(to, content, receiving, restrictionOf(bucket, version))
  return true
}

/** Of encrypted bytes, and of an ETag that is no MD5, nobody can tell. */
const isGood = (version: ObjectVersion, bytes: Uint8Array): boolean => areBytesOf(version, bytes) !== false
