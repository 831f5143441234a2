import type { Acl } from './access.ts'
import type { Restriction } from './blob.ts'
import type { Checksum, ChecksumAlgorithm } from './checksum.ts'
import type { WrappedKey } from './encryption.ts'
import type { ObjectName } from './names.ts'
import type { ContentHeaders, Retention, Tags } from './version.ts'

/** What a client says of an object that it writes, beside the bytes. */
export interface ObjectAttributes {
  readonly owner: string
  readonly headers: ContentHeaders
  readonly metadata: ReadonlyMap<string, string>
  readonly storageClass: string
  readonly tags?: Tags
  readonly acl: Acl
  readonly retention?: Retention
  readonly hold?: boolean
}

/** A multipart upload in progress. */
export interface Upload {
  /** The three digits of the cell that keeps it (C26), then hexadecimal ones: 14 of the time it began, 32 by chance. */
  readonly id: string
  readonly name: ObjectName
  readonly attributes: ObjectAttributes
  /** Milliseconds since the epoch. */
  readonly initiated: number
  /** Account that started it. */
  readonly initiator: string
  readonly checksum?: { readonly algorithm: ChecksumAlgorithm; readonly type: Checksum['type'] }
  /** Of its parts' bytes. */
  readonly encryption?: WrappedKey
  /** Which regions are to keep its parts; absent: all of its bucket may. */
  readonly restriction?: Restriction
}
