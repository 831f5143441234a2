import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { ContentTampered } from '#src/encryption/content-tampered.ts'
import { defaultManagedKey, type Keys } from '#src/encryption/key-provider.ts'
import { deriveKey, keyBytes, unwrapKey, wrapKey } from '#src/encryption/key-wrap.ts'
import { Fault } from '#src/errors.ts'
import type { Encryption, EncryptionScheme, EncryptionWish, WrappedKey } from '#src/model/encryption.ts'
import { blobOf, manifestOf, type ObjectVersion, type Part } from '#src/model/version.ts'
import type { Foundation } from './foundation.ts'

/**
 * The keys of objects: one data key a write, wrapped under the store's, a KMS's or the customer's.
 *
 * N1  a data key unwraps in the bucket that it was made for, with the scheme, key and context that the record names, and with
 *     the customer's key where it was that which wrapped it.
 * N2  a version's bytes are read only if its seal holds: under the data key, over bucket, key, stamp, size, ETag and content
 *     (of an object in parts: every part, in order). So exchanged records, rows and blobs show.
 * N3  a customer's key is kept in no form: what is kept is a data key that it wraps.
 */
export interface ContentKey {
  /** What unwraps it again, to be kept beside what it encrypts. */
  readonly wrapped: WrappedKey
  readonly plain: Uint8Array
  /** Bucket that it is bound to. */
  readonly bucket: number
}

const saltBytes = 16
const sealBytes = 16

/** What a data key is bound to: the scheme's own words, length by length, so that no two say the same. */
function contextOf(bucket: number, scheme: EncryptionScheme): Uint8Array {
  const words = [scheme.kind, String(bucket)]
  if (scheme.kind !== 'SSE-C') words.push(scheme.keyId)
  if (scheme.kind === 'SSE-KMS') words.push(scheme.context ?? '')
  return Buffer.from(JSON.stringify(words))
}

function keysOf({ keys }: Foundation): Keys {
  if (keys === undefined) throw new Error('a store that was opened without keys')
  return keys
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** A new data key for a write into a bucket. */
export async function makeContentKey(
  foundation: Foundation,
  bucket: number,
  wish: EncryptionWish,
): Promise<ContentKey> {
  const { world } = foundation
  if (wish.kind === 'SSE-C') {
    const scheme = { kind: 'SSE-C' } as const
    const salt = world.randomBytes(saltBytes)
    const plain = world.randomBytes(keyBytes)
    const wrapping = deriveKey(wish.key, salt, 'customer key')
    const inner = wrapKey(wrapping, plain, contextOf(bucket, scheme), world.randomBytes(12))
    return { plain, bucket, wrapped: { ...scheme, wrapped: hex(salt) + hex(inner) } }
  }
  if (wish.kind === 'SSE-S3') {
    const { own } = keysOf(foundation)
    const scheme = { kind: 'SSE-S3', keyId: own.current() } as const
    const made = await own.generate(scheme.keyId, contextOf(bucket, scheme))
    return { plain: made.plain, bucket, wrapped: { ...scheme, wrapped: hex(made.wrapped) } }
  }
  const { context, hasBucketKey } = wish
  const scheme: EncryptionScheme = {
    kind: 'SSE-KMS',
    keyId: wish.keyId ?? defaultManagedKey,
    hasBucketKey,
    ...(context !== undefined && { context }),
  }
  const made = await keysOf(foundation).managed.generate(scheme.keyId, contextOf(bucket, scheme))
  return { plain: made.plain, bucket, wrapped: { ...scheme, wrapped: hex(made.wrapped) } }
}

const invalid = (message: string): Fault => new Fault('InvalidRequest', { message })

/** Whether a read brings the customer's key just where one is needed. */
export function checkCustomerKey(wrapped: WrappedKey | undefined, customerKey: Uint8Array | undefined): void {
  if (wrapped?.kind === 'SSE-C' && customerKey === undefined) {
    throw invalid(
      'The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.',
    )
  }
  if (wrapped?.kind !== 'SSE-C' && customerKey !== undefined) {
    throw invalid('The encryption parameters are not applicable to this object.')
  }
}

/** The data key again; Fault where the customer's key is missing, is not the one, or has no place. */
export async function openContentKey(
  foundation: Foundation,
  bucket: number,
  record: WrappedKey,
  customerKey: Uint8Array | undefined,
): Promise<ContentKey> {
  checkCustomerKey(record, customerKey)
  const { wrapped } = record
  const bytes = Buffer.from(wrapped, 'hex')
  const context = contextOf(bucket, record)
  const opened = (plain: Uint8Array): ContentKey => ({ plain, bucket, wrapped: wrappedOf(record) })
  if (record.kind === 'SSE-S3') return opened(await keysOf(foundation).own.unwrap(record.keyId, bytes, context))
  if (record.kind === 'SSE-KMS') return opened(await keysOf(foundation).managed.unwrap(record.keyId, bytes, context))
  const wrapping = deriveKey(customerKey ?? new Uint8Array(0), bytes.subarray(0, saltBytes), 'customer key')
  try {
    return opened(unwrapKey(wrapping, bytes.subarray(saltBytes), context))
  } catch (error) {
    if (!(error instanceof ContentTampered)) throw error
    throw invalid('The provided encryption parameters did not match the ones used originally.')
  }
}

/** A version's or an upload's key, if it is encrypted at all. */
export async function openKeyOf(
  foundation: Foundation,
  bucket: number,
  record: WrappedKey | undefined,
  customerKey: Uint8Array | undefined,
): Promise<ContentKey | undefined> {
  checkCustomerKey(record, customerKey)
  return record === undefined ? undefined : await openContentKey(foundation, bucket, record, customerKey)
}

function wrappedOf(record: WrappedKey): WrappedKey {
  const { seal: _, ...wrapped } = record as Encryption
  return wrapped
}

/** A transaction needs a data key, and opening it may take longer than a transaction may. */
class KeyNeeded extends Error {
  readonly bucket: number
  readonly record: WrappedKey

  constructor(bucket: number, record: WrappedKey) {
    super('a data key is needed')
    this.bucket = bucket
    this.record = record
  }
}

/** How often a record may be exchanged by others while its key is being opened. */
const keyTries = 5

/** Runs what opens a transaction; where that asks for a key by `neededKey`, the key is opened and it runs again. */
export async function withContentKey<Output>(
  foundation: Foundation,
  customerKey: Uint8Array | undefined,
  run: (known: ContentKey | undefined) => Promise<Output>,
): Promise<Output> {
  let known: ContentKey | undefined
  for (let attempt = 1; ; attempt++) {
    try {
      return await run(known)
    } catch (error) {
      if (!(error instanceof KeyNeeded)) throw error
      if (attempt === keyTries) throw new Fault('SlowDown')
      known = await openContentKey(foundation, error.bucket, error.record, customerKey)
    }
  }
}

/** The key of a record; undefined where that is not encrypted. */
export function neededKey(
  known: ContentKey | undefined,
  bucket: number,
  record: WrappedKey | undefined,
): ContentKey | undefined {
  if (record === undefined) return undefined
  if (known?.bucket === bucket && known.wrapped.wrapped === record.wrapped) return known
  throw new KeyNeeded(bucket, record)
}

/** Whether two writes would use the same key of the same provider, so that one's data key serves the other. */
export function isSameScheme(record: WrappedKey | undefined, wish: EncryptionWish | undefined): boolean {
  if (record === undefined || wish === undefined) return record === wish
  if (record.kind === 'SSE-S3') return wish.kind === 'SSE-S3'
  if (record.kind === 'SSE-C' || wish.kind !== 'SSE-KMS') return false
  return (
    record.keyId === (wish.keyId ?? defaultManagedKey) &&
    record.context === wish.context &&
    record.hasBucketKey === wish.hasBucketKey
  )
}

/**
 * The ETag: the MD5, but where a customer's or a KMS's key encrypts, S3's ETag is none, and here it is a keyed digest of it, so
 * that it tells nothing of the bytes. The same part sent twice has the same.
 */
export function etagOf(contentKey: ContentKey | undefined, md5: string): string {
  if (contentKey === undefined || contentKey.wrapped.kind === 'SSE-S3') return md5
  const key = deriveKey(contentKey.plain, new Uint8Array(0), 'etag')
  return createHmac('sha256', key).update(md5, 'hex').digest('hex').slice(0, 32)
}

/** What a seal is over. */
export type Sealed = Pick<ObjectVersion, 'stamp' | 'size' | 'etag' | 'content'> & {
  readonly key: string
  /** Where the content is a manifest. */
  readonly parts?: readonly Part[]
}

/** What a version that the key encrypts says of itself (N2). */
export const sealedBy = (contentKey: ContentKey, sealed: Sealed): Encryption => ({
  ...contentKey.wrapped,
  seal: sealOf(contentKey, sealed),
})

function sealOf({ plain, bucket }: ContentKey, { key, stamp, size, etag, content, parts }: Sealed): string {
  const blob = blobOf(content) ?? ''
  const listed = manifestOf(content) === undefined ? '' : digestOfParts(parts)
  const words = [bucket, key, String(stamp), size, etag, content.kind, blob, listed]
  const digest = createHmac('sha256', deriveKey(plain, new Uint8Array(0), 'seal')).update(JSON.stringify(words))
  return digest.digest('hex').slice(0, 2 * sealBytes)
}

function digestOfParts(parts: readonly Part[] | undefined): string {
  if (parts === undefined) throw new Error('the parts of an object in parts')
  const digest = createHash('sha256')
  for (const { number, size, blob } of parts) digest.update(`${number} ${size} ${blob};`)
  return digest.digest('hex')
}

/** Throws ContentTampered where the version is not the one that was written (N2). */
export function checkSeal(contentKey: ContentKey, encryption: Encryption, sealed: Sealed): void {
  const expected = Buffer.from(sealOf(contentKey, sealed), 'hex')
  const found = Buffer.from(encryption.seal, 'hex')
  if (found.length !== expected.length || !timingSafeEqual(found, expected)) {
    throw new ContentTampered('an encrypted object whose record was changed')
  }
}
