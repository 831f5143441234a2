import { isDeepStrictEqual } from 'node:util'
import { Fault } from '#src/errors.ts'
import { readManifest } from '#src/metadata/blob-records.ts'
import { readState, rewriteVersion } from '#src/metadata/object-records.ts'
import type { EncryptionWish } from '#src/model/encryption.ts'
import type { EventName } from '#src/model/notification.ts'
import { changedRetention, checkNewRetention } from '#src/model/retention.ts'
import type { Stamp } from '#src/model/stamp.ts'
import { isHere } from '#src/model/tier.ts'
import { manifestOf, type ObjectVersion } from '#src/model/version.ts'
import { checkTakesWrites } from './bucket-places.ts'
import { openingOf, readContent } from './content.ts'
import { durably, spreadOut } from './durability.ts'
import type { Foundation } from './foundation.ts'
import { discard, type Encrypting, ingestObject } from './ingest.ts'
import { journal } from './log-writing.ts'
import { commitAppend, restrictionOfAppend } from './object-appends.ts'
import { commitCopy } from './object-copies.ts'
import { commitDelete, type DeleteRequest } from './object-deletes.ts'
import { checkCustomerKey, makeContentKey, openContentKey } from './object-encryption.ts'
import { tell } from './object-events.ts'
import { checkIsHere, checkReadConditions, type FoundRow, findRow, readSource, select } from './object-reads.ts'
import { commitRename } from './object-renames.ts'
import { commitRestore } from './object-restores.ts'
import { checkWriteConditions, commitPut } from './object-writes.ts'
import { withChangedSlots } from './replication-asking.ts'
import type {
  AppendObject,
  CopyObject,
  Deleted,
  FindObject,
  Found,
  Mutable,
  Objects,
  PutObject,
  Read,
  Written,
} from './services.ts'
import { slotStamp } from './slot-stamps.ts'
import type { Spread } from './spread.ts'

/** The objects of all buckets, over one cell and this node's volumes. */
export class CellObjects implements Objects {
  readonly #foundation: Foundation

  constructor(foundation: Foundation) {
    this.#foundation = foundation
  }

  async put(request: PutObject): Promise<Written> {
    checkNewRetention(request.attributes.retention, this.#foundation.world.now())
    const { name } = request
    return await durably(this.#foundation, name.bucket, (spread) => this.#put(request, spread), request)
  }

  async #put(request: PutObject, spread: Spread | undefined): Promise<Written> {
    const { body, digests, conditions, encryption, restriction } = request
    if (Object.keys(conditions).length > 0) await this.#checkEarly(request)
    const encrypting = encryption === undefined ? undefined : await this.#encrypting(request, encryption)
    const here = await ingestObject(this.#foundation, body, digests, encrypting, restriction)
    const ingested = spread === undefined ? here : await spreadOut(this.#foundation, spread, here)
    try {
      return await commitPut(this.#foundation, request, ingested)
    } catch (error) {
      await discard(this.#foundation, ingested)
      throw error
    }
  }

  async append(request: AppendObject): Promise<Written> {
    checkNewRetention(request.attributes.retention, this.#foundation.world.now())
    const write = async (spread: Spread | undefined) => await commitAppend(this.#foundation, request, spread)
    return await durably(this.#foundation, request.name.bucket, write, {
      restriction: await restrictionOfAppend(this.#foundation, request),
    })
  }

  async #encrypting(
    { name, since }: Pick<PutObject, 'name' | 'since'>,
    encryption: EncryptionWish,
  ): Promise<Encrypting> {
    const { store, namespace } = this.#foundation
    const bucket = await store.snapshot((snapshot) => namespace.existingBucket(snapshot, name.bucket), since)
    return { contentKey: await makeContentKey(this.#foundation, bucket.id, encryption), part: 0 }
  }

  /** Spares a client the sending of a body that its own conditions forbid; the commit decides. */
  async #checkEarly({ name, conditions, guard, since }: PutObject): Promise<void> {
    const standing = await this.find({ name, guard, since }).catch((error: unknown) => {
      if (error instanceof Fault && error.code === 'NoSuchKey') return undefined
      throw error
    })
    checkWriteConditions(conditions, standing?.version, name.key)
  }

  async head(request: Parameters<Objects['head']>[0]): Promise<Read> {
    const { found, selection } = await this.#foundation.store.snapshot(async (snapshot) => {
      const row = await findRow(this.#foundation, snapshot, request)
      checkReadConditions(request.conditions, row.version)
      const manifest = manifestOf(row.version.content)
      const parts = async () => (manifest === undefined ? [] : await readManifest(snapshot, manifest.blob))
      return { found: row, selection: await select(row.version, request.wanted, parts) }
    }, request.since)
    await this.#checkKey(found, request)
    const { from, to, part } = this.#hides(found.version) ? { from: 0, to: 0 } : { part: undefined, ...selection }
    const { version, ...rest } = told(found)
    return { ...rest, version: this.#shown(version), from, to, ...partTold(part), bytes: nothing }
  }

  /** A restoration that is over is none, also before its bytes are gone. */
  #shown(version: ObjectVersion): ObjectVersion {
    const { restore, ...rest } = version
    return restore?.kind === 'done' && !isHere(version, this.#foundation.world.now()) ? rest : version
  }

  /** Whether HEAD is to tell of no bytes, as there are none here. */
  #hides(version: ObjectVersion): boolean {
    if (version.remote === undefined || isHere(version, this.#foundation.world.now())) return false
    return this.#foundation.tiers?.get(version.remote.tier)?.hidesSize === true
  }

  /** What tells of an object asks for its customer's key, as what reads it does; no other key needs to be opened. */
  async #checkKey({ bucket, version }: FoundRow, { customerKey }: FindObject): Promise<void> {
    checkCustomerKey(version.encryption, customerKey)
    if (version.encryption?.kind !== 'SSE-C') return
    await openContentKey(this.#foundation, bucket.id, version.encryption, customerKey)
  }

  async get(request: Parameters<Objects['get']>[0]): Promise<Read> {
    const { found, source, selection } = await this.#foundation.store.snapshot(async (snapshot) => {
      const row = await findRow(this.#foundation, snapshot, request)
      checkReadConditions(request.conditions, row.version)
      checkIsHere(row.version, this.#foundation.world.now())
      const from = await readSource(snapshot, row, request.name.key)
      const parts = async () => (from.kind === 'manifest' ? from.parts : [])
      return { found: row, source: from, selection: await select(row.version, request.wanted, parts) }
    }, request.since)
    const opening = await openingOf(this.#foundation, found, source, request)
    const { from, to, part } = selection
    return {
      ...told(found),
      from,
      to,
      ...partTold(part),
      bytes: await readContent(this.#foundation, source, selection, opening),
    }
  }

  async find(request: FindObject): Promise<Found> {
    return await this.#foundation.store.snapshot(
      (snapshot) => findRow(this.#foundation, snapshot, request),
      request.since,
    )
  }

  async delete(request: DeleteRequest): Promise<Deleted> {
    return await durably(this.#foundation, request.name.bucket, () => commitDelete(this.#foundation, request), {
      since: request.since,
    })
  }

  async copy(request: CopyObject): Promise<Written & { readonly sourceVersionId: string | undefined }> {
    const { name, restriction } = request
    return await durably(this.#foundation, name.bucket, (spread) => commitCopy(this.#foundation, request, spread), {
      restriction,
    })
  }

  async rename(request: Parameters<Objects['rename']>[0]): Promise<Written> {
    return await durably(this.#foundation, request.target.bucket, () => commitRename(this.#foundation, request))
  }

  async update(request: Parameters<Objects['update']>[0]): Promise<Found> {
    return await durably(this.#foundation, request.name.bucket, () => this.#update(request))
  }

  async #update(request: Parameters<Objects['update']>[0]): Promise<Found> {
    return await this.#foundation.store.transact(async (transaction) => {
      const found = await findRow(this.#foundation, transaction, request)
      const { bucket, row, versionId } = found
      checkTakesWrites(this.#foundation, bucket)
      const place = { bucket: bucket.id, key: request.name.key }
      const state = await readState(transaction, place, bucket.versioning !== 'off')
      const stamp = slotStamp(this.#foundation, row.version)
      const change = request.change(row.version, this.#foundation.world.now())
      const { version: before } = row
      const after = changed(before, change, stamp)
      const { key } = request.name
      const version = await withChangedSlots(this.#foundation, transaction, bucket, key, { before, after })
      rewriteVersion(transaction, state, row, version)
      if (bucket.logging !== undefined) {
        const { etag, size } = version
        for (const operation of changesOf(change)) {
          await journal(this.#foundation, transaction, bucket, {
            operation,
            key: request.name.key,
            size,
            versionId,
            etag,
          })
        }
      }
      const event = eventOf(row.version, change)
      if (event !== undefined) {
        const { cause } = request
        const place = { bucket, key: request.name.key }
        const wireId = version.isNull ? undefined : versionId
        tell(this.#foundation, transaction, { ...place, event, stamp, versionId: wireId, object: version, cause })
      }
      return { version, versionId }
    })
  }

  async restore(request: Parameters<Objects['restore']>[0]): ReturnType<Objects['restore']> {
    return await commitRestore(this.#foundation, request)
  }

  async parts(request: Parameters<Objects['parts']>[0]): ReturnType<Objects['parts']> {
    const { found, all } = await this.#foundation.store.snapshot(async (snapshot) => {
      const row = await findRow(this.#foundation, snapshot, request)
      const manifest = manifestOf(row.version.content)
      return { found: row, all: manifest === undefined ? [] : await readManifest(snapshot, manifest.blob) }
    })
    await this.#checkKey(found, request)
    const { version, versionId } = found
    const after = all.filter((part) => part.number > request.after)
    return { version, versionId, parts: after.slice(0, request.limit), total: all.length }
  }
}

const nothing = new Uint8Array(0)

function told({ version, versionId, expiry }: FoundRow): Pick<Read, 'version' | 'versionId' | 'expiry' | 'partsCount'> {
  const manifest = manifestOf(version.content)
  const found = expiry === undefined ? { version, versionId } : { version, versionId, expiry }
  return { ...found, ...(manifest !== undefined && { partsCount: manifest.parts }) }
}

const partTold = (part: { readonly checksum?: Read['partChecksum'] } | undefined): Pick<Read, 'partChecksum'> =>
  part?.checksum === undefined ? {} : { partChecksum: part.checksum }

/** As journals name them. */
function changesOf(change: Mutable): readonly string[] {
  const { acl, hold, tags } = change
  const found: string[] = []
  if (acl !== undefined) found.push('REST.PUT.ACL')
  if (hold !== undefined) found.push('REST.PUT.LEGAL_HOLD')
  if ('retention' in change) found.push('REST.PUT.RETENTION')
  if ('tags' in change) found.push(tags === undefined ? 'REST.DELETE.OBJECT_TAGGING' : 'REST.PUT.OBJECT_TAGGING')
  return found
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html: an ACL that is what it was is no event. */
function eventOf(before: ObjectVersion, change: Mutable): EventName | undefined {
  if ('tags' in change) return change.tags === undefined ? 'ObjectTagging:Delete' : 'ObjectTagging:Put'
  const { acl } = change
  return acl === undefined || isDeepStrictEqual(acl, before.acl.value) ? undefined : 'ObjectAcl:Put'
}

/** The version with some of its slots changed. */
function changed(version: ObjectVersion, change: Mutable, stamp: Stamp): ObjectVersion {
  const { tags, acl, hold, retention } = change
  return {
    ...version,
    ...('tags' in change && { tags: { stamp, value: tags ?? new Map() } }),
    ...(acl !== undefined && { acl: { stamp, value: acl } }),
    ...(hold !== undefined && { hold: { stamp, value: hold } }),
    ...('retention' in change && { retention: changedRetention(version, retention, stamp) }),
  }
}
