import type { Acl } from './access.ts'
import type { BucketEncryption } from './encryption.ts'
import type { Logging } from './logging.ts'
import type { Shadow } from './shadow.ts'
import type { Tags } from './version.ts'
import type { Website } from './website.ts'

export type Versioning = 'off' | 'enabled' | 'suspended'
const ownerships = ['BucketOwnerEnforced', 'BucketOwnerPreferred', 'ObjectWriter'] as const
export type Ownership = (typeof ownerships)[number]

export const parseOwnership = (text: string): Ownership | undefined => ownerships.find((each) => each === text)

export interface PublicAccessBlock {
  readonly blockPublicAcls: boolean
  readonly ignorePublicAcls: boolean
  readonly blockPublicPolicy: boolean
  readonly restrictPublicBuckets: boolean
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_CORSRule.html */
export interface CorsRule {
  readonly id?: string
  readonly allowedOrigins: readonly string[]
  readonly allowedMethods: readonly string[]
  readonly allowedHeaders: readonly string[]
  readonly exposeHeaders: readonly string[]
  readonly maxAgeSeconds?: number
}

/**
 * A change of a bucket's location under way (C22). Each step begins with a change of the bucket's row, and every cell
 * concerned has seen it before the next one does.
 *
 * | step        | served by | writes | records go to | what happens                                                       |
 * |-------------|-----------|--------|---------------|--------------------------------------------------------------------|
 * | `preparing` | old cells | yes    | old cells     | nobody forgets what was deleted in the bucket, until it is over    |
 * | `copying`   | old cells | yes    | old and new   | the new cells copy all there is                                    |
 * | `fenced`    | old cells | no     | old and new   | all cells come to have all that was written                        |
 * | `handing`   | new cells | no     | old and new   | the old cells begin to pass requests on                            |
 * | `leaving`   | new cells | yes    | new cells     | the old cells forget what they have, and hand on what they keep    |
 */
export interface Move {
  readonly step: MoveStep
  /** Where the bucket is to be; from `handing` on where it was, or, where the change was given up, where it was to be. */
  readonly other: string
  /** The bucket's epoch when it began: it names this change. */
  readonly epoch: number
  /** When it began, in milliseconds since the epoch. */
  readonly since: number
}

export type MoveStep = 'preparing' | 'copying' | 'fenced' | 'handing' | 'leaving'

/** A bucket, as the namespace keeps it. Settings live here and are not merged (C24). */
export interface Bucket {
  readonly name: string
  /** From the root cell, never reused: a bucket of the same name made later has another. */
  readonly id: number
  /** Canonical id of the owning account. */
  readonly owner: string
  /** Milliseconds since the epoch. */
  readonly created: number
  /** As CreateBucket, or the last change of it, asked for it; empty: none. */
  readonly location: string
  /** Absent: its location is not changing. */
  readonly move?: Move
  /** In how many regions a write to it is before it is acknowledged (C20); absent: as the regions are set up. */
  readonly durability?: number
  /** The cell that decides what must be decided once, and since which handover (C23); absent: by the location alone. */
  readonly home?: { readonly cell: number; readonly epoch: number }
  /** Raised by fences (C22). */
  readonly epoch: number
  readonly state: 'active' | 'deleting'
  readonly versioning: Versioning
  readonly acl: Acl
  readonly ownership?: Ownership
  readonly publicAccessBlock?: PublicAccessBlock
  /** The document as it was put. */
  readonly policy?: string
  readonly cors?: readonly CorsRule[]
  readonly tags?: Tags
  readonly encryption?: BucketEncryption
  readonly website?: Website
  /** Where its requests are logged. */
  readonly logging?: Logging
  /** Host name under which it shows its objects to browsers. */
  readonly domain?: string
  /** Of what everybody may read there, where an object does not say. */
  readonly cacheControl?: string
  /** Where else its objects may be. */
  readonly shadow?: Shadow
  /** Whether it was created with object lock, or got it later. */
  readonly hasObjectLock: boolean
  /** Whether its owner is an organisation with a limit of bytes. */
  readonly isLimited?: boolean
  /** Other configurations, by their query name (`website`, `lifecycle` …), as the documents that were put, checked. */
  readonly documents: Readonly<Record<string, string>>
}
