import { Fault } from '#src/errors.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { takesWrites as takesAnyWrites } from '#src/model/move.ts'
import type { Foundation } from './foundation.ts'

/**
 * Whether a cell may answer for a bucket, by the bucket's row as it is in the transaction or snapshot that answers (C22).
 *
 * Z1  a cell that is none of the bucket's neither reads nor writes its objects: what it had is gone, or not there yet.
 * Z2  nothing is written while the bucket is being deleted, or handed from some cells to others.
 */
type Places = Pick<Foundation, 'hasBucket'>

export function checkIsHere(places: Places, bucket: Bucket): void {
  if (places.hasBucket?.(bucket) === false) throw busy(bucket, 'The bucket is not in this region any more.')
}

export const takesWrites = (places: Places, bucket: Bucket): boolean =>
  takesAnyWrites(bucket) && places.hasBucket?.(bucket) !== false

export function checkTakesWrites(places: Places, bucket: Bucket): void {
  checkIsHere(places, bucket)
  if (takesAnyWrites(bucket)) return
  throw busy(bucket, bucket.state === 'active' ? 'The bucket is changing its regions.' : 'The bucket is being deleted.')
}

const busy = ({ name }: Bucket, message: string): Fault =>
  new Fault('ServiceUnavailable', { BucketName: name, message: `${message} Try again.` })
