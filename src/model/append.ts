import { Fault } from '#src/errors.ts'
import type { Checksum, ExpectedDigests } from './checksum.ts'
import { isCrcAlgorithm } from './crc-combine.ts'
import { combineChecksums, compositeChecksum } from './digests.ts'
import type { ObjectVersion, Part } from './version.ts'

/** Writing behind the end of an object. https://docs.aws.amazon.com/AmazonS3/latest/userguide/directory-buckets-objects-append.html */
const objectBytesMax = 5 * 2 ** 40

/** S3's own limit of parts in an object; here each append adds one. */
const appendsMax = 10_000

/** The offset must be where the object ends; what is not there ends at 0. */
export function checkOffset(offset: number, standing: Pick<ObjectVersion, 'size'> | undefined): void {
  const size = standing?.size ?? 0
  if (offset !== size) throw new Fault('InvalidWriteOffset', { WriteOffset: offset, ObjectSize: size })
}

export function checkAppend(before: readonly Part[], sizeBefore: number, added: number): void {
  if (before.length >= appendsMax) throw new Fault('TooManyParts')
  const size = sizeBefore + added
  if (size > objectBytesMax) throw new Fault('EntityTooLarge', { ProposedSize: size, MaxSizeAllowed: objectBytesMax })
}

/** What is appended gets the kind of checksum that the object has, whether the client sends one or not. */
export function digestsOf(checksum: Checksum | undefined, digests: ExpectedDigests): ExpectedDigests {
  if (checksum === undefined) return digests
  const { algorithm } = checksum
  if (digests.checksum === undefined) return { ...digests, checksum: { algorithm, value: () => undefined } }
  if (digests.checksum.algorithm === algorithm) return digests
  const [expected, actual] = [algorithm, digests.checksum.algorithm].map((each) => each.toLowerCase())
  throw new Fault('InvalidRequest', {
    message: `Checksum Type mismatch occurred, expected checksum Type: ${expected}, actual checksum Type: ${actual}`,
  })
}

/** The checksum of an object and one more part behind it; undefined where it cannot be known without reading it all. */
export function appendedChecksum(
  { checksum, size }: Pick<ObjectVersion, 'checksum' | 'size'>,
  parts: readonly Part[],
): Checksum | undefined {
  const added = parts.at(-1)
  if (checksum === undefined || added?.checksum === undefined) return undefined
  const { algorithm, type, value } = checksum
  if (type === 'FULL_OBJECT' && isCrcAlgorithm(algorithm)) {
    const whole = [
      { value, size },
      { value: added.checksum.value, size: added.size },
    ]
    return { algorithm, type, value: combineChecksums(algorithm, whole) }
  }
  const values = parts.flatMap((part) => (part.checksum?.algorithm === algorithm ? [part.checksum.value] : []))
  if (values.length < parts.length) return undefined
  return { algorithm, type: 'COMPOSITE', value: compositeChecksum(algorithm, values) }
}
