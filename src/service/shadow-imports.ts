import { createHash } from 'node:crypto'
import type { CloudSource, SourceObject, SourceRead } from '#src/cloud/endpoint.ts'
import { whyFailed } from '#src/cloud/s3-endpoint.ts'
import { Fault } from '#src/errors.ts'
import { addBlob } from '#src/metadata/blob-records.ts'
import { keys, slotOf } from '#src/metadata/keyspace.ts'
import { insertVersion, isKnown, readState } from '#src/metadata/object-records.ts'
import { countImport } from '#src/metadata/shadow-records.ts'
import { cannedAcl } from '#src/model/acl.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { EncryptionWish } from '#src/model/encryption.ts'
import { retentionOfNew } from '#src/model/object-lock.ts'
import { importStamp, type Shadow } from '#src/model/shadow.ts'
import type { ObjectVersion } from '#src/model/version.ts'
import type { Transaction } from '#src/store/store.ts'
import { branch } from './branches.ts'
import type { Foundation } from './foundation.ts'
import { discard, type Ingested, ingest } from './ingest.ts'
import { bodyOf } from './object-copies.ts'
import { makeContentKey, sealedBy } from './object-encryption.ts'
import { checkTakesWrites, draftOf } from './object-writes.ts'
import type { ShadowSources } from './shadow-sources.ts'

/** Who asks first for a larger object reads it as it comes; smaller ones are here before they are sent. */
export const streamedBytesMin = 4 * 2 ** 20
/** Never beside its record. */
const neverInline = -1

/** `known`: a record or a tombstone was here first; `missing`: the shadow has none either. */
export type Imported = 'imported' | 'known' | 'missing'

/** One object on its way here. */
export interface Flight {
  /** What the shadow says of it; undefined: it has none. Rejects with Fault `ServiceUnavailable` where that cannot be told. */
  readonly found: Promise<SourceObject | undefined>
  /** What became of it here. Rejects where it could not be brought. */
  readonly landed: Promise<Imported>
  /** The bytes as they come, for who began the flight and asked for them: of large objects, once `found` is there. */
  bytes?: AsyncIterableIterator<Uint8Array>
}

interface Asked {
  readonly bucket: Bucket
  readonly shadow: Shadow
  readonly key: string
}

/** It is the shadow that could not do it, one object or all. */
export class ShadowFailed extends Fault {
  constructor(cause: unknown) {
    const message = `The shadow bucket could not be read: ${whyFailed(cause)}. Try again.`
    super('ServiceUnavailable', { message }, { cause })
  }
}

/**
 * Brings what only the shadow has.
 *
 * V1  an object is brought only in a transaction that finds neither record nor tombstone of its key (C21); its stamp is below
 *     all that are drawn in the bucket. So what was written or deleted here meanwhile stands, in this cell and in all others.
 * V2  one object is fetched once at a time in a process, however many ask for it.
 * V3  it keeps its ETag, metadata, content headers and Last-Modified; its bytes have the length, and the MD5, that the shadow
 *     says, or it is not taken, and the last of them reach nobody.
 */
export class ShadowImports {
  readonly #foundation: Foundation
  readonly #sources: ShadowSources
  readonly #flights = new Map<string, Flight>()
  readonly #stopping = new AbortController()

  constructor(foundation: Foundation, sources: ShadowSources) {
    this.#foundation = foundation
    this.#sources = sources
  }

  /** Begins a flight, or joins the one that is under way. `wantsBytes`: for who reads them as they come. */
  begin(asked: Asked, wantsBytes = false): Flight {
    const id = JSON.stringify([asked.shadow.id, asked.key])
    const under = this.#flights.get(id)
    if (under !== undefined) return { found: under.found, landed: under.landed }
    const flight = this.#start(asked, wantsBytes)
    this.#flights.set(id, flight)
    const over = () => this.#flights.delete(id)
    flight.landed.then(over, over)
    return flight
  }

  async source({ bucket, shadow }: Pick<Asked, 'bucket' | 'shadow'>): Promise<CloudSource> {
    return await this.#sources.of(bucket, shadow)
  }

  get signal(): AbortSignal {
    return this.#stopping.signal
  }

  /** Gives up what is under way. */
  async close(): Promise<void> {
    this.#stopping.abort()
    await Promise.allSettled([...this.#flights.values()].map(({ landed }) => landed))
    await this.#sources.close()
  }

  #start(asked: Asked, wantsBytes: boolean): Flight {
    const { promise: found, resolve, reject } = Promise.withResolvers<SourceObject | undefined>()
    found.catch(() => undefined)
    const flight: { -readonly [Each in keyof Flight]: Flight[Each] } = {
      found,
      landed: this.#land(asked, (read) => {
        if (read === undefined) resolve(undefined)
        else if (!wantsBytes || read.object.size < streamedBytesMin) resolve(read.object)
        else {
          const [landing, reading] = branch(verified(read))
          flight.bytes = reading
          resolve(read.object)
          return landing
        }
        return read === undefined ? undefined : verified(read)
      }).catch((error: unknown) => {
        reject(error)
        throw error
      }),
    }
    flight.landed.catch(() => undefined)
    return flight
  }

  async #land(
    asked: Asked,
    answered: (read: SourceRead | undefined) => AsyncIterable<Uint8Array> | undefined,
  ): Promise<Imported> {
    const read = await this.#fetch(asked)
    const bytes = answered(read)
    if (read === undefined || bytes === undefined) return 'missing'
    const source = bytes[Symbol.asyncIterator]()
    try {
      return await this.#take(asked, read.object, bytes)
    } finally {
      // Whoever reads beside this is not held up by what does not go on here.
      await source.return?.()
    }
  }

  async #fetch(asked: Asked): Promise<SourceRead | undefined> {
    try {
      const source = await this.source(asked)
      return await source.get(asked.key, this.#stopping.signal)
    } catch (error) {
      throw new ShadowFailed(error)
    }
  }

  async #take(asked: Asked, object: SourceObject, bytes: AsyncIterable<Uint8Array>): Promise<Imported> {
    const { bucket } = asked
    const wish = wishOf(bucket)
    const contentKey = wish === undefined ? undefined : await makeContentKey(this.#foundation, bucket.id, wish)
    const encrypting = contentKey === undefined ? undefined : { contentKey, part: 0 }
    // Bytes beside a record are compared with an ETag that looks like their MD5, which only the shadow's word makes one.
    const inlineMax = object.hasMd5 || object.etag.length !== 32 ? this.#foundation.inlineBytesMax : neverInline
    const ingested = await ingest(this.#foundation, bodyOf(bytes, object.size), {}, inlineMax, encrypting)
    try {
      const outcome = await this.#foundation.store.transact((to) => this.#commit(to, asked, object, ingested))
      if (outcome === 'known') await discard(this.#foundation, ingested)
      return outcome
    } catch (error) {
      await discard(this.#foundation, ingested)
      throw error
    }
  }

  async #commit(to: Transaction, asked: Asked, object: SourceObject, ingested: Ingested): Promise<Imported> {
    const { region, cell } = this.#foundation
    const bucket = await this.#foundation.namespace.existingBucket(to, asked.bucket.name)
    if (bucket.id !== asked.bucket.id || bucket.shadow?.id !== asked.shadow.id) throw new Fault('OperationAborted')
    checkTakesWrites(bucket)
    const { key } = asked
    const place = { bucket: bucket.id, key }
    if (await isKnown(to, place)) return 'known'
    if (ingested.content.kind === 'blob') await addBlob(to, ingested.content.stored, region, cell)
    const version = this.#versionOf(bucket, key, object, ingested)
    await insertVersion(to, await readState(to, place, true), version)
    if (ingested.content.kind === 'inline') to.set(keys.inline(bucket.id, key, slotOf(version)), ingested.content.bytes)
    countImport(to, bucket.id, asked.shadow.id, object.size)
    return 'imported'
  }

  #versionOf(bucket: Bucket, key: string, object: SourceObject, ingested: Ingested): ObjectVersion {
    const { cell, world } = this.#foundation
    const { contentKey, ...draft } = draftOf(ingested)
    const stamp = importStamp(bucket.created, cell)
    const retention = retentionOfNew(bucket, world.now())
    const made = { ...draft, etag: object.etag }
    return {
      ...virtualVersion(bucket, object),
      ...made,
      stamp,
      vector: [[cell, stamp]],
      ...(retention !== undefined && { retention: { stamp, value: retention } }),
      ...(contentKey !== undefined && { encryption: sealedBy(contentKey, { ...made, stamp, key }) }),
    }
  }
}

/** What an object is, as long as only the shadow has it. */
export function virtualVersion(bucket: Bucket, object: Omit<SourceObject, 'hasMd5'>): ObjectVersion {
  const stamp = importStamp(bucket.created, 0)
  return {
    kind: 'object',
    stamp,
    isNull: bucket.versioning !== 'enabled',
    modified: object.modified,
    owner: bucket.owner,
    vector: [],
    size: object.size,
    etag: object.etag,
    content: { kind: 'inline' },
    storageClass: 'STANDARD',
    headers: object.headers,
    metadata: object.metadata,
    acl: { stamp, value: cannedAcl('private', { id: bucket.owner, displayName: '' }) },
  }
}

/** As the bucket encrypts what is written without a wish. */
function wishOf({ encryption }: Bucket): EncryptionWish | undefined {
  if (encryption === undefined) return undefined
  if (encryption.algorithm === 'AES256') return { kind: 'SSE-S3' }
  const { keyId, hasBucketKey = false } = encryption
  return { kind: 'SSE-KMS', hasBucketKey, ...(keyId !== undefined && { keyId }) }
}

/** Bytes as they come, but the last only once all were what the shadow says (V3). */
async function* verified({ object, bytes }: SourceRead): AsyncGenerator<Uint8Array> {
  const digest = object.hasMd5 ? createHash('md5') : undefined
  let size = 0
  let held: Uint8Array | undefined
  try {
    for await (const chunk of bytes) {
      size += chunk.length
      digest?.update(chunk)
      if (held !== undefined) yield held
      held = chunk
    }
  } catch (error) {
    throw new ShadowFailed(error)
  }
  const isWhole = size === object.size && (digest === undefined || digest.digest('hex') === object.etag)
  if (!isWhole) throw new ShadowFailed(new Error('it gives other bytes than it says'))
  if (held !== undefined) yield held
}
