/** Storage classes whose bytes lie at another S3 endpoint. */

/** Where a copy is: at which tier's endpoint, under which name. */
export interface RemoteName {
  /** The storage class. */
  readonly tier: string
  readonly bucket: string
  readonly key: string
}

/** A copy at an endpoint, as it was verified there. */
export interface RemoteCopy extends RemoteName {
  /** Of the bytes as they were sent, in hexadecimal. */
  readonly sha256: string
  /** Of an encrypted object: the random id that the sent bytes were encrypted under. */
  readonly sealedAs?: string
}

/** `ongoing`: asked for, for so many days, or for good; `done`: here until then, in milliseconds since the epoch. */
export type Restore =
  | { readonly kind: 'ongoing'; readonly days?: number }
  | { readonly kind: 'done'; readonly until: number }

/** A cloud tier, but for how its endpoint is reached. */
export interface Tier {
  readonly name: string
  /** `{bucket}` stands for the bucket that the object is in. */
  readonly bucket: string
  /** Before the object's key; `{bucket}` as above. */
  readonly prefix: string
  /** Whether objects stay here by name, so that they can be restored; otherwise they are gone once they are there. */
  readonly retainsHead: boolean
  /** Whether HEAD tells of no bytes where there are none here, as Ceph does. */
  readonly hidesSize: boolean
}

/** Of S3's keys. */
const keyBytesMax = 1024

const filled = (template: string, bucket: string): string => template.replaceAll('{bucket}', () => bucket)

/**
 * Names for a version's copy: the first is like the object's own, where nothing else makes it unlike all others; it may be taken
 * by a copy of what the object was before. The second is never any other's.
 */
export function remoteNames(
  tier: Tier,
  { bucket, key, versionId, isNull, digest }: NamedVersion,
): readonly [RemoteName, RemoteName] {
  const prefix = filled(tier.prefix, bucket)
  const named = (name: string): RemoteName => ({ tier: tier.name, bucket: filled(tier.bucket, bucket), key: name })
  const [plain, own] = [`${prefix}${key}`, `${prefix}${key}-${versionId}`]
  const unique = named(Buffer.byteLength(own) <= keyBytesMax ? own : `${prefix}${digest}-${versionId}`)
  return [isNull && Buffer.byteLength(plain) <= keyBytesMax ? named(plain) : unique, unique]
}

export interface NamedVersion {
  readonly bucket: string
  readonly key: string
  /** Its stamp. */
  readonly versionId: string
  readonly isNull: boolean
  /** Of the key, for where it is too long. */
  readonly digest: string
}

/** Whether the bytes can be read here, now. */
export function isHere(
  { content, restore }: { readonly content: { readonly kind: string }; readonly restore?: Restore },
  now: number,
): boolean {
  return content.kind !== 'remote' && !(restore?.kind === 'done' && restore.until <= now)
}
