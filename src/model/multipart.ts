import { Fault } from '#src/errors.ts'
import type { Checksum } from './checksum.ts'
import { combineChecksums, compositeChecksum, multipartEtag } from './digests.ts'
import type { Upload } from './upload.ts'
import type { Part } from './version.ts'

/** Of all parts but the last. https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
const partBytesLeast = 5 * 2 ** 20
const objectBytesMax = 5 * 2 ** 40

/** What a client says its upload consists of. */
export interface Completing {
  readonly parts: readonly CompletingPart[]
  /** Of the whole object. */
  readonly checksum?: Checksum
  readonly objectSize?: number
}

export interface CompletingPart {
  readonly number: number
  readonly etag: string
  readonly checksum?: Checksum
}

export interface Joined {
  readonly parts: readonly Part[]
  readonly size: number
  readonly etag: string
  readonly checksum?: Checksum
}

/** The object that the named parts make, out of those uploaded. Faults InvalidPart, InvalidPartOrder, EntityTooSmall … */
export function joinParts(
  upload: Upload,
  uploaded: readonly Part[],
  completing: Completing,
  partBytesMin = partBytesLeast,
): Joined {
  const byNumber = new Map(uploaded.map((part) => [part.number, part]))
  let previous = 0
  for (const { number } of completing.parts) {
    if (number <= previous) throw new Fault('InvalidPartOrder', { UploadId: upload.id })
    previous = number
  }
  const parts = completing.parts.map((named) => matchingPart(upload, byNumber.get(named.number), named))
  for (const part of parts.slice(0, -1)) {
    if (part.size < partBytesMin) {
      throw new Fault('EntityTooSmall', {
        ProposedSize: part.size,
        MinSizeAllowed: partBytesMin,
        PartNumber: part.number,
        ETag: part.etag,
      })
    }
  }
  const size = parts.reduce((sum, part) => sum + part.size, 0)
  checkSize(size, completing.objectSize)
  const etag = multipartEtag(parts.map((part) => part.etag))
  const checksum = checksumOf(upload, parts)
  checkChecksum(checksum, completing.checksum)
  return { parts, size, etag, ...(checksum !== undefined && { checksum }) }
}

function matchingPart(upload: Upload, part: Part | undefined, named: CompletingPart): Part {
  const isSame = part !== undefined && part.etag === named.etag
  const isIntact = named.checksum === undefined || named.checksum.value === part?.checksum?.value
  if (isSame && isIntact) return part
  throw new Fault('InvalidPart', { UploadId: upload.id, PartNumber: named.number, ETag: named.etag })
}

function checkSize(size: number, expected: number | undefined): void {
  if (size > objectBytesMax) throw new Fault('EntityTooLarge', { ProposedSize: size, MaxSizeAllowed: objectBytesMax })
  if (expected !== undefined && expected !== size) {
    throw new Fault('InvalidRequest', {
      message: `The provided 'x-amz-mp-object-size' header value ${expected} does not match what was computed: ${size}`,
    })
  }
}

function checksumOf(upload: Upload, parts: readonly Part[]): Checksum | undefined {
  if (upload.checksum === undefined) return undefined
  const { algorithm, type } = upload.checksum
  const digested = parts.map(({ checksum, size }) => ({ value: checksum?.value ?? '', size }))
  if (type === 'COMPOSITE') {
    return {
      algorithm,
      type,
      value: compositeChecksum(
        algorithm,
        digested.map((part) => part.value),
      ),
    }
  }
  if (algorithm === 'SHA1' || algorithm === 'SHA256') throw new Error('a full-object checksum that cannot be combined')
  return { algorithm, type, value: combineChecksums(algorithm, digested) }
}

function checkChecksum(computed: Checksum | undefined, expected: Checksum | undefined): void {
  if (expected === undefined || computed === undefined) return
  // A client may say the composite checksum with or without the number of parts.
  const isSame =
    expected.value === computed.value || `${expected.value}-` === computed.value.slice(0, expected.value.length + 1)
  if (expected.algorithm !== computed.algorithm || !isSame) {
    throw new Fault('BadDigest', {
      message: `The ${expected.algorithm.toLowerCase()} you specified did not match the calculated checksum.`,
    })
  }
}
