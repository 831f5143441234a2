import { boundedBody } from '#gateway/operations/object/body-length.ts'
import { passGuard } from '#gateway/operations/object/target.ts'
import { operation } from '#gateway/operations/operation.ts'
import { decodeDigests, encodePartChecksum } from '#gateway/wire/checksums.ts'
import { decodeCustomerKey, encodeEncryption } from '#gateway/wire/encryption-headers.ts'
import { quoteEtag } from '#gateway/wire/etag.ts'
import { Fault } from '#src/errors.ts'
import type { ExpectedDigests } from '#src/model/checksum.ts'
import type { Upload } from '#src/model/upload.ts'
import { partNumberOf, uploadOf } from './target.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html */
export const uploadPart = operation({
  name: 'UploadPart',
  match: { method: 'PUT', scope: 'object', keys: ['partNumber', 'uploadId'] },
  site: 'upload',
  action: 's3:PutObject',

  decode(request) {
    const { headers, body } = request
    const number = partNumberOf(request)
    const bounded = boundedBody(request)
    return { upload: uploadOf(request), number, bounded, digests: decodeDigests(headers, body) }
  },

  async run({ upload, number, bounded, digests }, context) {
    await passGuard(context)
    const { uploads } = context.services
    // Before the body is read: an upload that is not there costs the client nothing.
    const { checksum, encryption } = await uploads.get(upload)
    const customerKey = decodeCustomerKey(context.request.headers)
    const part = await uploads.putPart({
      ...upload,
      number,
      body: bounded,
      digests: digestsFor(checksum, digests),
      ...(customerKey !== undefined && { customerKey }),
    })
    return { part, encryption }
  },

  encode({ part, encryption }, request) {
    const headers: Record<string, string> = { etag: quoteEtag(part.etag) }
    encodePartChecksum(part.checksum, headers)
    encodeEncryption(encryption, request.headers, headers)
    return { status: 200, headers }
  },
})

/** The parts of an upload are all checked its way; one that comes without a checksum gets it computed. */
function digestsFor(wanted: Upload['checksum'], digests: ExpectedDigests): ExpectedDigests {
  if (wanted === undefined) return digests
  const given = digests.checksum?.algorithm
  if (given === undefined) {
    return { ...digests, checksum: { algorithm: wanted.algorithm, value: () => undefined } }
  }
  if (given === wanted.algorithm) return digests
  const [expected, actual] = [wanted.algorithm.toLowerCase(), given.toLowerCase()]
  throw new Fault('InvalidRequest', {
    message: `Checksum Type mismatch occurred, expected checksum Type: ${expected}, actual checksum Type: ${actual}`,
  })
}
