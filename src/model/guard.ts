import type { Bucket } from './bucket.ts'
import type { ObjectVersion } from './version.ts'

/**
 * The part of a decision that needs the object: called in the transaction that reads or changes it, with what stands under the
 * name (`undefined`: nothing, or a delete marker) and the bucket's row as that transaction read it (C22): where the row is not
 * the one that was judged, it is judged again, so that a body that took an hour does not end in a bucket that was closed, or
 * made anew by somebody else, meanwhile. Throws Fault `AccessDenied`.
 */
export type Guard = (version: ObjectVersion | undefined, bucket: Bucket) => void
