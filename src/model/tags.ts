import { Fault } from '#src/errors.ts'
import type { Tags } from './version.ts'

const keyLengthMax = 128
const valueLengthMax = 256

/** Of objects; buckets may have 50. */
export const objectTagsMax = 10
export const bucketTagsMax = 50

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html; lengths are in UTF-16 units, as S3 counts. */
const allowed = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u

/** In the order of their keys. Throws InvalidTag, which S3 answers for each of these rules. */
export function makeTags(pairs: Iterable<readonly [key: string, value: string]>, countMax: number): Tags {
  const tags = new Map<string, string>()
  for (const [key, value] of pairs) {
    if (tags.has(key))
      throw new Fault('InvalidTag', { message: 'Cannot provide multiple Tags with the same key', TagKey: key })
    if (key === '' || key.length > keyLengthMax || !allowed.test(key)) {
      throw new Fault('InvalidTag', { message: 'The TagKey you have provided is invalid', TagKey: key })
    }
    if (key.startsWith('aws:')) {
      throw new Fault('InvalidTag', { message: 'System tags cannot be added/updated by requester', TagKey: key })
    }
    if (value.length > valueLengthMax || !allowed.test(value)) {
      throw new Fault('InvalidTag', {
        message: 'The TagValue you have provided is invalid',
        TagKey: key,
        TagValue: value,
      })
    }
    tags.set(key, value)
    if (tags.size > countMax) {
      throw new Fault('InvalidTag', { message: `The number of tags cannot be greater than ${countMax}` })
    }
  }
  return new Map([...tags].sort(([one], [other]) => (one < other ? -1 : 1)))
}
