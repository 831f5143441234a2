import type { RequestBody } from '#gateway/operations/operation.ts'
import { Fault } from '#src/errors.ts'
import type { ExpectedDigests } from '#src/model/checksum.ts'
import { digestOf } from '#src/model/digests.ts'

/** A small body, such as a document, compared with what its headers and trailers say of it. */
export async function collectVerified(
  body: RequestBody,
  { md5, checksum }: ExpectedDigests,
  bytesMax: number,
): Promise<Uint8Array> {
  const bytes = await body.collect(bytesMax)
  if (md5 !== undefined && digestOf('MD5', bytes) !== md5) throw new Fault('BadDigest')
  if (checksum === undefined) return bytes
  const expected = checksum.value()
  if (expected !== undefined && digestOf(checksum.algorithm, bytes) !== expected) {
    throw new Fault('BadDigest', {
      message: `The ${checksum.algorithm} you specified did not match the calculated checksum.`,
    })
  }
  return bytes
}
