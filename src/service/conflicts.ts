import { Fault } from '#src/errors.ts'
import { type ConflictRow, conflictOfRow, readConflict, settleConflict } from '#src/metadata/conflict-records.ts'
import { keys, under } from '#src/metadata/keyspace.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { Guard } from '#src/model/guard.ts'
import type { ObjectName } from '#src/model/names.ts'
import { formatStamp, parseStamp, type Stamp } from '#src/model/stamp.ts'
import type { ObjectVersion } from '#src/model/version.ts'
import type { Transaction } from '#src/store/store.ts'
import { afterKey, appendText } from '#src/store/tuple.ts'
import { checkIsHere, checkTakesWrites } from './bucket-places.ts'
import type { Foundation } from './foundation.ts'
import { draftOfVersion } from './object-copies.ts'
import { type ContentKey, checkCustomerKey, withContentKey } from './object-encryption.ts'
import { tellWritten } from './object-events.ts'
import type { FoundRow } from './object-reads.ts'
import { journalWrite, readTarget, writeVersion } from './object-writes.ts'
import type { Written } from './services.ts'

/** A version that lost to a write of another region that had not seen it. */
export interface ListedConflict {
  readonly key: string
  /** Names it among those of its key; its stamp, in 19 digits. */
  readonly id: string
  readonly version: ObjectVersion
  /** Milliseconds since the epoch. */
  readonly expires: number
}

export interface ConflictName {
  readonly name: ObjectName
  readonly id: string
  /** Is shown what was lost, in the transaction that does it; absent: whoever runs the store asks. */
  readonly guard?: Guard
}

export interface ConflictsPage {
  readonly conflicts: readonly ListedConflict[]
  /** Where to go on; absent: that was all. */
  readonly next?: ConflictsMark
}

export interface ConflictsMark {
  readonly key: string
  readonly id: string
}

/**
 * What was lost when two regions wrote one key at once, for as long as it is kept (I6).
 *
 * Q1  restoring is an ordinary write, which other regions merge as any; in its transaction the conflict is settled, so that no
 *     cell offers it again.
 */
export class Conflicts {
  readonly #foundation: Foundation

  constructor(foundation: Foundation) {
    this.#foundation = foundation
  }

  /** By key, of one key the earliest first; `limit` at most. Fault `NoSuchBucket`. */
  async list(
    bucket: string,
    { prefix = '', after, limit }: { readonly prefix?: string; readonly after?: ConflictsMark; readonly limit: number },
  ): Promise<ConflictsPage> {
    const { store, namespace } = this.#foundation
    return await store.snapshot(async (snapshot) => {
      const there = await namespace.existingBucket(snapshot, bucket)
      checkIsHere(this.#foundation, there)
      const { id } = there
      const all = under('conflict', [id])
      const found: ListedConflict[] = []
      let from = this.#start(id, prefix, after)
      for (;;) {
        const rows = await snapshot.range(from, all.to, { limit: limit + 1 - found.length })
        for (const row of rows) {
          from = afterKey(row.key)
          const { key, conflict } = conflictOfRow(row)
          if (!key.startsWith(prefix)) return { conflicts: found }
          if (conflict.isSettled) continue
          if (found.length === limit) return { conflicts: found, next: markOf(found) }
          const { version, expires } = conflict
          found.push({ key, id: formatStamp(version.stamp), version, expires })
        }
        if (rows.length === 0) return { conflicts: found }
      }
    })
  }

  #start(bucket: number, prefix: string, after: ConflictsMark | undefined): Uint8Array {
    if (after !== undefined) return afterKey(keys.conflict(bucket, after.key, stampOf(after.id)))
    // Of all keys that start with the prefix, it is the least itself.
    return appendText(under('conflict', [bucket]).from, Buffer.from(prefix))
  }

  /** Makes what was lost the newest version of its key. Faults `NoSuchBucket`, `NoSuchVersion`. */
  async restore(conflict: ConflictName & { readonly customerKey?: Uint8Array }): Promise<Written> {
    const { store, space } = this.#foundation
    space?.check()
    return await withContentKey(this.#foundation, conflict.customerKey, (known) =>
      store.transact((transaction) => this.#restoreOnce(transaction, conflict, known)),
    )
  }

  async #restoreOnce(
    to: Transaction,
    conflict: ConflictName & { readonly customerKey?: Uint8Array },
    known: ContentKey | undefined,
  ): Promise<Written> {
    const { key } = conflict.name
    const target = await readTarget(this.#foundation, to, conflict.name)
    const { bucket } = target
    const row = await this.#find(to, bucket, conflict)
    // Its bytes, where they lie beside it, are under its stamp, as of a version that is not `null`.
    const version: ObjectVersion = { ...row.conflict.version, isNull: false }
    checkCustomerKey(version.encryption, conflict.customerKey)
    const found: FoundRow = { bucket, version, versionId: undefined, row: { version, bytes: nothing } }
    const { source, draft } = await draftOfVersion(to, found, key, known)
    const { owner, acl, headers, metadata, storageClass, tags } = version
    const written = await writeVersion(this.#foundation, to, target, draft, {
      owner,
      acl: acl.value,
      headers,
      metadata,
      storageClass,
      ...(tags !== undefined && { tags: tags.value }),
    })
    if (source?.kind === 'inline') {
      const slot = written.version.isNull ? 0n : written.version.stamp
      to.set(keys.inline(bucket.id, key, slot), source.bytes)
    }
    await settleConflict(to, { bucket: bucket.id, key }, row)
    await journalWrite(this.#foundation, to, target, 'REST.PUT.OBJECT', written)
    tellWritten(this.#foundation, to, { bucket, key }, written, 'ObjectCreated:Copy', undefined)
    return written
  }

  /** Lets go of what was lost, in all regions. Faults `NoSuchBucket`, `NoSuchVersion`. */
  async discard(conflict: ConflictName): Promise<void> {
    const { store, namespace } = this.#foundation
    await store.transact(async (transaction) => {
      const bucket = await namespace.existingBucket(transaction, conflict.name.bucket)
      checkTakesWrites(this.#foundation, bucket)
      const row = await this.#find(transaction, bucket, conflict)
      await settleConflict(transaction, { bucket: bucket.id, key: conflict.name.key }, row)
    })
  }

  async #find(from: Transaction, bucket: Bucket, { name: { key }, id, guard }: ConflictName): Promise<ConflictRow> {
    const row = await readConflict(from, { bucket: bucket.id, key }, stampOf(id))
    guard?.(row?.conflict.version, bucket)
    if (row === undefined || row.conflict.isSettled) throw new Fault('NoSuchVersion', { Key: key, VersionId: id })
    return row
  }
}

const nothing = new Uint8Array(0)

function stampOf(id: string): Stamp {
  const stamp = parseStamp(id)
  if (stamp === undefined) throw new Fault('InvalidArgument', { message: 'Invalid conflict id', ArgumentValue: id })
  return stamp
}

function markOf(found: readonly ListedConflict[]): ConflictsMark {
  const last = found.at(-1)
  if (last === undefined) throw new Error('a page of no conflicts')
  return { key: last.key, id: last.id }
}
