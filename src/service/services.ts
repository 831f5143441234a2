import type { Acl } from '#src/model/access.ts'
import type { Restriction } from '#src/model/blob.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { Checksum, ChecksumAlgorithm, ExpectedDigests } from '#src/model/checksum.ts'
import type { Conditions } from '#src/model/conditions.ts'
import type { EncryptionWish } from '#src/model/encryption.ts'
import type { Guard } from '#src/model/guard.ts'
import type { AccessKey, Account } from '#src/model/identity.ts'
import type { Expiry } from '#src/model/lifecycle.ts'
import type { Logging } from '#src/model/logging.ts'
import type { CompletingPart } from '#src/model/multipart.ts'
import type { ObjectName } from '#src/model/names.ts'
import type { Principal } from '#src/model/principal.ts'
import type { ObjectAttributes, Upload } from '#src/model/upload.ts'
import type { ObjectVersion, Part, Retention, Tags } from '#src/model/version.ts'
import type { Moment } from '#src/world.ts'
import type { BucketConfigurations } from './bucket-configurations.ts'
import type { Cause } from './cause.ts'
import type { Domains } from './domains.ts'
import type { Foresight } from './foresight.ts'
import type { Iam } from './iam/iam.ts'
import type { LifecycleDefaults } from './lifecycle-defaults.ts'
import type { Listings } from './listing-services.ts'
import type { BucketNotifications, Topics } from './notification-services.ts'
import type { Page } from './page.ts'
import type { Regions } from './regions.ts'
import type { Shadows } from './shadow-services.ts'
import type { Sts } from './sts/sts.ts'
import type { Usage } from './usage.ts'

/** What the store can be asked to do; the gateway sees nothing else of it. */
export interface Services {
  readonly buckets: Buckets
  readonly objects: Objects
  readonly uploads: Uploads
  readonly listings: Listings
  /** Has what a listing showed held in this region, some time later. Absent: there are no others. */
  prefetch?(bucket: string, keys: readonly string[]): Promise<void>
  readonly identity: Identity
  readonly iam: Iam
  readonly sts: Sts
  readonly lifecycle: LifecycleDefaults
  readonly logs: Logs
  readonly topics: Topics
  readonly notifications: BucketNotifications
  readonly configurations: BucketConfigurations
  readonly shadows: Shadows
  readonly domains: Domains
  readonly usage: Usage
  /** Absent: to read one row after the other is as quick. */
  readonly foresight?: Pick<Foresight, 'begin'>
  /** Absent: there is one. */
  readonly regions?: Regions
}

/** Throws NoSuchBucket, BucketAlreadyExists, BucketAlreadyOwnedByYou, BucketNotEmpty, InvalidBucketState, TooManyBuckets. */
export interface Buckets {
  /** How many one account may own. */
  readonly most: number
  create(request: CreateBucket): Promise<Bucket>
  /** The bucket; Fault `NoSuchBucket` where there is none. Cheap: decoded once and kept while its row is unchanged. */
  get(name: string, since?: Moment): Promise<Bucket>
  list(owner: string, options: { prefix?: string; after?: string; limit: number }): Promise<Page<Bucket>>
  /** Changes settings in one transaction; `change` may run again, and may throw a Fault. */
  update(name: string, change: (bucket: Bucket) => Bucket): Promise<Bucket>
  /** `check` is shown the bucket that goes, in the transaction that takes it away; it may throw a Fault. */
  delete(name: string, check?: (bucket: Bucket) => void): Promise<void>
}

export type CreateBucket = Pick<
  Bucket,
  'name' | 'owner' | 'acl' | 'location' | 'durability' | 'home' | 'hasObjectLock' | 'ownership' | 'tags'
>

export interface Body {
  /** Undefined: not known beforehand. */
  readonly length: number | undefined
  stream(): AsyncIterable<Uint8Array>
  /** All of it, in the pieces that it came in; Fault `EntityTooLarge` above `bytesMax`. */
  pieces(bytesMax: number): Promise<readonly Uint8Array[]>
}

export interface PutObject {
  readonly name: ObjectName
  readonly attributes: ObjectAttributes
  readonly body: Body
  readonly digests: ExpectedDigests
  readonly conditions: Conditions
  readonly encryption?: EncryptionWish
  /** Which regions are to keep it; absent: all of its bucket may. */
  readonly restriction?: Restriction
  readonly guard: Guard
  /** When the request began: a state of the metadata that is no older will do. Absent: that of when it is read. */
  readonly since?: Moment | undefined
  /** The request, for events; `isForm`: a POST form brought it. */
  readonly cause?: Cause
  readonly isForm?: boolean
}

/** Fault `InvalidWriteOffset` where the object does not end at `offset`; also EncryptionTypeMismatch, TooManyParts, InvalidBucketState. */
export interface AppendObject extends Omit<PutObject, 'isForm' | 'since'> {
  readonly offset: number
  /** Whether the request itself says how it is encrypted, and not its bucket. */
  readonly asksEncryption: boolean
}

export interface Written {
  readonly version: ObjectVersion
  /** On the wire; undefined where the write filled the `null` slot, as in a bucket without versions. */
  readonly versionId: string | undefined
  /** When a rule of the bucket lets it expire, where one does. */
  readonly expiry?: Expiry
}

export interface FindObject {
  readonly name: ObjectName
  /** As on the wire: `null`, a stamp; undefined: the current one. */
  readonly versionId?: string
  /** Where the object's bytes are encrypted with a key that its reader has (SSE-C). */
  readonly customerKey?: Uint8Array
  readonly guard: Guard
  /** When the request began: a state of the metadata that is no older will do. Absent: that of when it is read. */
  readonly since?: Moment | undefined
}

export interface Found {
  readonly version: ObjectVersion
  readonly versionId: string | undefined
  /** Of the current version, asked for without its id. */
  readonly expiry?: Expiry
  /** Whether only the bucket's shadow has it yet. */
  readonly isElsewhere?: true
}

/** A wanted piece of an object. `suffix`: the last so many bytes. */
export type Wanted =
  | { readonly kind: 'range'; readonly from: number; readonly to?: number }
  | { readonly kind: 'suffix'; readonly bytes: number }
  | { readonly kind: 'part'; readonly number: number }

export interface Read extends Found {
  /** Bytes [from, to) of the object; from 0 to its size where all is wanted. */
  readonly from: number
  readonly to: number
  /** Where a part was asked for, or the object has parts: how many. */
  readonly partsCount?: number
  /** Of the part asked for, where it is known. */
  readonly partChecksum?: Checksum
  /** A whole small object at once, otherwise a stream, whose chunks are lent until the next but one is asked for; verified (I3). */
  readonly bytes: Uint8Array | AsyncIterable<Uint8Array>
}

export interface Deleted {
  /** Whether what was removed, or what was made, is a delete marker. */
  readonly isMarker: boolean
  /** Of the marker made, or of the version removed. */
  readonly versionId: string | undefined
}

/**
 * Throws NoSuchBucket, NoSuchKey, NoSuchVersion, MethodNotAllowed (a delete marker asked for by its id: with
 * `details.isMarker` = 1 and LastModified), NoSuchKey with `details.isMarker` = 1 and VersionId (the current one is a marker),
 * PreconditionFailed, NotModified (with ETag and LastModified), InvalidRange, BadDigest, and what the guard throws.
 */
export interface Objects {
  put(request: PutObject): Promise<Written>
  /** Writes behind the end of an object, or the first of it. */
  append(request: AppendObject): Promise<Written>
  head(request: FindObject & { readonly conditions: Conditions; readonly wanted?: Wanted }): Promise<Read>
  get(request: FindObject & { readonly conditions: Conditions; readonly wanted?: Wanted }): Promise<Read>
  /** The record alone, for attributes, ACL, tags, locks. */
  find(request: FindObject): Promise<Found>
  /** A missing key is no error. */
  delete(
    request: FindObject & {
      readonly conditions: Conditions
      readonly bypassGovernance: boolean
      readonly caller: string
      /** Whether it is one of many in a request (DeleteObjects): journals tell. */
      readonly isOfMany?: boolean
      readonly cause?: Cause
    },
  ): Promise<Deleted>
  copy(request: CopyObject): Promise<Written & { readonly sourceVersionId: string | undefined }>
  rename(request: {
    readonly source: ObjectName
    readonly target: ObjectName
    readonly conditions: Conditions
    readonly sourceConditions: Conditions
    readonly customerKey?: Uint8Array
    readonly guard: Guard
    readonly sourceGuard: Guard
    readonly cause?: Cause
  }): Promise<Written>
  /** Changes what may change without a new version; `change` runs in the transaction and may throw a Fault. */
  update(
    request: FindObject & { readonly change: (version: ObjectVersion, now: number) => Mutable; readonly cause?: Cause },
  ): Promise<Found>
  /**
   * Brings the bytes of an object in a cloud tier back, for so many days, or for good. Gives whether they were here already: then
   * their time is as if they had been brought now. Fault `InvalidObjectState` of any other object, `RestoreAlreadyInProgress`.
   */
  restore(
    request: FindObject & { readonly days?: number; readonly cause?: Cause },
  ): Promise<{ readonly isHere: boolean }>
  /** The parts of an object uploaded in parts, in order; empty where it was not. */
  parts(
    request: FindObject & { readonly after: number; readonly limit: number },
  ): Promise<Found & { readonly parts: readonly Part[]; readonly total: number }>
}

/** The slots of a version; a key that is present replaces the slot (`undefined`: empties it). */
export interface Mutable {
  readonly tags?: Tags | undefined
  readonly acl?: Acl
  readonly hold?: boolean
  readonly retention?: Retention | undefined
}

export interface CopyObject {
  readonly source: FindObject & { readonly conditions: Conditions }
  readonly name: ObjectName
  /** What the copy says of itself, given what the source says. */
  readonly attributes: (source: ObjectVersion) => ObjectAttributes
  /** Compute this checksum over the copy; otherwise the source's is kept. */
  readonly checksum?: ChecksumAlgorithm
  /** Both of the copy; the source's own play no part. */
  readonly encryption?: EncryptionWish
  readonly restriction?: Restriction
  readonly conditions: Conditions
  readonly guard: Guard
  readonly cause?: Cause
}

export interface UploadName {
  readonly name: ObjectName
  readonly uploadId: string
}

/** Throws NoSuchUpload, InvalidPart, InvalidPartOrder, EntityTooSmall, EntityTooLarge, PreconditionFailed, BadDigest. */
export interface Uploads {
  create(request: {
    readonly name: ObjectName
    readonly attributes: ObjectAttributes
    readonly initiator: string
    readonly checksum?: NonNullable<Upload['checksum']>
    readonly encryption?: EncryptionWish
    readonly restriction?: Restriction
  }): Promise<Upload>
  /** The upload, for what depends on how it was started. */
  get(upload: UploadName): Promise<Upload>
  putPart(
    request: UploadName & {
      readonly number: number
      readonly body: Body
      readonly digests: ExpectedDigests
      readonly customerKey?: Uint8Array
    },
  ): Promise<Part>
  copyPart(
    request: UploadName & {
      readonly number: number
      readonly source: FindObject & { readonly conditions: Conditions }
      /** Of the upload; the source's is with the source. */
      readonly customerKey?: Uint8Array
      /** Bytes [from, to) of the source. */
      readonly range?: { readonly from: number; readonly to: number }
    },
  ): Promise<{ readonly part: Part; readonly sourceVersionId: string | undefined }>
  /** Repeated after success, it answers as it did (24 h, C26). */
  complete(
    request: UploadName & {
      readonly parts: readonly CompletingPart[]
      readonly conditions: Conditions
      readonly checksum?: Checksum
      readonly objectSize?: number
      readonly customerKey?: Uint8Array
      readonly guard: Guard
      readonly cause?: Cause
    },
  ): Promise<Written>
  abort(request: UploadName & { readonly ifInitiated?: number }): Promise<void>
  listParts(
    request: UploadName & { readonly after: number; readonly limit: number },
  ): Promise<{ readonly upload: Upload; readonly parts: readonly Part[]; readonly isTruncated: boolean }>
}

export interface FoundKey {
  readonly key: AccessKey
  readonly account: Account
  readonly principal?: Principal
}

/** Logs of buckets, in other buckets. Throws InvalidTargetBucketForLogging, InvalidArgument, AccessDenied. */
export interface Logs {
  /** After which a log is closed and delivered, where a configuration does not say. */
  readonly rollSeconds: number
  /**
   * Changes a bucket's logging; `change` may run again, and may throw a Fault. Where that closed a log of before, it gives the
   * key of its object in the target that was.
   */
  configure(
    name: string,
    change: (bucket: Bucket) => Omit<Logging, 'modified'> | undefined,
  ): Promise<string | undefined>
  /** Closes and delivers the log that the bucket writes to, an empty one too; gives the key of its object. */
  flush(name: string, guard: (bucket: Bucket) => void): Promise<string>
  /** Adds a line to the log of a bucket, as the request that it tells of saw it. Resolves when it is durable, or given up. */
  record(bucket: Bucket, line: string): Promise<void>
}

/** Throws NoSuchEntity, EntityAlreadyExists, DeleteConflict, InvalidArgument. */
export interface Identity {
  /**
   * The key and its account, and who else acts by it; undefined where there is none. Cheap: decoded once and kept while its
   * rows are unchanged. `token`: of temporary credentials, which say all by it; Fault `InvalidToken`, `ExpiredToken`.
   */
  findKey(accessKeyId: string, token?: string, since?: Moment): Promise<FoundKey | undefined>
  findAccount(id: string): Promise<Account | undefined>
  findAccountByEmail(email: string): Promise<Account | undefined>
  createAccount(request: CreateAccount): Promise<Account>
  listAccounts(): Promise<readonly Account[]>
  /** Its keys go with it; Fault `DeleteConflict` while it owns buckets. */
  deleteAccount(id: string): Promise<void>
  createKey(request: { readonly accountId: string; readonly id?: string; readonly secret?: string }): Promise<AccessKey>
  listKeys(accountId?: string): Promise<readonly AccessKey[]>
  deleteKey(id: string): Promise<void>
  /**
   * For every start, by all workers at once: an account that administrates, made where there is none, and its key: the given
   * one (its secret is replaced where another stood), else one it has, else a new one. `isNew`: this call wrote the key.
   */
  ensureAdministrator(given?: {
    readonly id: string
    readonly secret: string
  }): Promise<{ readonly key: AccessKey; readonly isNew: boolean }>
}

/** `id`: made where none is given. `email` may be empty. */
export interface CreateAccount {
  readonly id?: string
  readonly displayName: string
  readonly email: string
  readonly isAdministrator?: boolean
  /** Whose IAM names it shares; empty: those of the tenant without a name. */
  readonly tenant?: string
}
