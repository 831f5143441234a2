import { Fault } from '#src/errors.ts'
import { keys, slotOf } from '#src/metadata/keyspace.ts'
import { insertVersion, removeVersion, seenVector } from '#src/metadata/object-records.ts'
import type { ObjectAttributes } from '#src/model/upload.ts'
import type { ObjectVersion } from '#src/model/version.ts'
import type { Foundation } from './foundation.ts'
import { findSource } from './object-copies.ts'
import { readSource } from './object-reads.ts'
import { checkWriteConditions, type Draft, readTarget, writeVersion } from './object-writes.ts'
import type { Objects, Written } from './services.ts'

/** Moves an object to another key of its bucket, in one transaction and without touching its bytes. */
export async function commitRename(
  foundation: Foundation,
  request: Parameters<Objects['rename']>[0],
): Promise<Written> {
  const { source, target, conditions, sourceConditions, guard, sourceGuard } = request
  if (source.bucket !== target.bucket)
    throw new Fault('InvalidRequest', { message: 'A rename stays within its bucket.' })
  if (source.key === target.key) throw new Fault('InvalidRequest', { message: 'Source and target are the same key.' })
  return await foundation.store.transact(async (transaction) => {
    const found = await findSource(foundation, transaction, {
      name: source,
      guard: sourceGuard,
      conditions: sourceConditions,
    })
    const place = await readTarget(foundation, transaction, target)
    guard(place.state.current?.version, place.bucket)
    checkWriteConditions(conditions, place.state.current?.version, target.key)
    const { version } = found
    const bytes = version.content.kind === 'inline' ? await readSource(transaction, found, source.key) : undefined
    const written = await writeVersion(foundation, transaction, place, draftOf(version), attributesOf(version))
    if (bytes?.kind === 'inline') {
      transaction.set(keys.inline(place.bucket.id, target.key, slotOf(written.version)), bytes.bytes)
    }
    const from = await readTarget(foundation, transaction, source)
    const vector = seenVector(from.state, foundation.cell, from.stamp)
    if (from.bucket.versioning === 'off') await removeVersion(transaction, from.state, found.row, from.stamp, vector)
    else {
      const isNull = from.bucket.versioning === 'suspended'
      const { owner } = version
      const modified = foundation.world.now()
      await insertVersion(transaction, from.state, {
        kind: 'marker',
        stamp: from.stamp,
        isNull,
        modified,
        owner,
        vector,
      })
    }
    return written
  })
}

const draftOf = ({ size, etag, content, checksum }: ObjectVersion): Draft => ({
  size,
  etag,
  content,
  ...(checksum !== undefined && { checksum }),
})

/** All that was said of an object when it was written, and since. */
function attributesOf({
  owner,
  headers,
  metadata,
  storageClass,
  acl,
  tags,
  hold,
  retention,
}: ObjectVersion): ObjectAttributes {
  return {
    owner,
    headers,
    metadata,
    storageClass,
    acl: acl.value,
    ...(tags !== undefined && { tags: tags.value }),
    ...(hold !== undefined && { hold: hold.value }),
    ...(retention?.value !== undefined && { retention: retention.value }),
  }
}
