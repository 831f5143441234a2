import type { Acl } from './access.ts'
import type { BlobId, Restriction } from './blob.ts'
import type { Checksum } from './checksum.ts'
import type { Encryption } from './encryption.ts'
import type { ReplicationStatus } from './replication-status.ts'
import type { Stamp } from './stamp.ts'
import type { RemoteCopy, Restore } from './tier.ts'

/** For each cell that wrote this key, the largest stamp seen: tells an overwrite from a concurrent write (C12). */
export type Vector = readonly (readonly [cell: number, stamp: Stamp])[]

/** A value that changes without its version: tags, ACL, retention, hold. Belongs to one content stamp (C11). */
export interface Slot<Value> {
  readonly stamp: Stamp
  readonly value: Value
}

export type Tags = ReadonlyMap<string, string>

export interface Retention {
  readonly mode: 'GOVERNANCE' | 'COMPLIANCE'
  /** Milliseconds since the epoch. */
  readonly until: number
}

/** What every version says of itself; records never depend on the bucket's state to be understood (C13). */
interface VersionBase {
  /** Of the content: draws the order of versions, and is the version id on the wire unless `isNull`. */
  readonly stamp: Stamp
  /** Whether it fills the bucket's `null` slot for this key. */
  readonly isNull: boolean
  /** Last-Modified, in milliseconds since the epoch. */
  readonly modified: number
  /** Canonical id of the account that wrote it. */
  readonly owner: string
  readonly vector: Vector
}

export interface DeleteMarker extends VersionBase {
  readonly kind: 'marker'
}

/** What an object in parts lists them under, and how many they are. */
export interface Listed {
  readonly blob: BlobId
  readonly parts: number
}

/**
 * Where an object's bytes are: beside the record, in one blob, or in the blobs that a manifest lists; `remote`: at the endpoint of
 * its tier alone. Of an object in parts its manifest is kept then, with blobs that are not there.
 */
export type Content =
  | { readonly kind: 'inline' }
  | { readonly kind: 'blob'; readonly blob: BlobId }
  | ({ readonly kind: 'manifest' } & Listed)
  | { readonly kind: 'remote'; readonly manifest?: Listed }

/** The blob that a content has a reference to. */
export function blobOf(content: Content): BlobId | undefined {
  if (content.kind === 'inline') return undefined
  return content.kind === 'remote' ? content.manifest?.blob : content.blob
}

/** Of an object in parts, wherever their bytes are. */
export function manifestOf(content: Content): Listed | undefined {
  if (content.kind === 'manifest') return content
  return content.kind === 'remote' ? content.manifest : undefined
}

/** Headers that S3 stores and returns as they are. */
export interface ContentHeaders {
  readonly contentType?: string
  readonly cacheControl?: string
  readonly contentDisposition?: string
  readonly contentEncoding?: string
  readonly contentLanguage?: string
  readonly expires?: string
  readonly websiteRedirectLocation?: string
}

export interface ObjectVersion extends VersionBase {
  readonly kind: 'object'
  readonly size: number
  /** Without quotes. */
  readonly etag: string
  readonly content: Content
  readonly checksum?: Checksum
  readonly storageClass: string
  /** Of the last transition to another class; absent: it has the class that it was written with. */
  readonly moved?: Stamp
  readonly headers: ContentHeaders
  /** Names without `x-amz-meta-`, lower case. */
  readonly metadata: ReadonlyMap<string, string>
  readonly tags?: Slot<Tags>
  readonly acl: Slot<Acl>
  readonly hold?: Slot<boolean>
  readonly retention?: Slot<Retention | undefined>
  /** Absent: its bytes are kept as they are. */
  readonly encryption?: Encryption
  /** The copy at another endpoint, of an object in a cloud tier. */
  readonly remote?: RemoteCopy
  /** What was asked for, or brought back, of an object in a cloud tier. */
  readonly restore?: Restore
  /** What became of it by the bucket's replication; `REPLICA`: it is what became of another. */
  readonly replication?: ReplicationStatus
  /** Of the regions that are to keep its bytes, the codes; absent: all of its bucket may. */
  readonly regions?: readonly string[]
}

export type Version = ObjectVersion | DeleteMarker

/** Which regions are to keep the blobs of a version in a bucket; undefined: all of the bucket may. */
export const restrictionOf = (bucket: number, { regions }: ObjectVersion): Restriction | undefined =>
  regions === undefined ? undefined : { bucket, regions }

/** What a listing tells of an object; read without decoding the rest of its record. */
export type ObjectSummary = Pick<
  ObjectVersion,
  'kind' | 'stamp' | 'isNull' | 'modified' | 'owner' | 'size' | 'etag' | 'storageClass' | 'checksum'
>

/** One part of an object that was uploaded in parts, as its manifest and ListParts know it. */
export interface Part {
  readonly number: number
  readonly size: number
  /** Without quotes: the MD5 in hexadecimal. */
  readonly etag: string
  readonly blob: BlobId
  readonly modified: number
  readonly checksum?: Checksum
}
