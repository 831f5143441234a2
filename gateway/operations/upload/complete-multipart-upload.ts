import { operation, type S3Request } from '#gateway/operations/operation.ts'
import { answerSoon, encodeAnswer } from '#gateway/operations/slow-answer.ts'
import { checksumElements, decodeChecksumHeader, decodeChecksumType } from '#gateway/wire/checksums.ts'
import { writeConditions } from '#gateway/wire/conditions.ts'
import { decodeCustomerKey, encodeEncryption } from '#gateway/wire/encryption-headers.ts'
import { quoteEtag, unquoteEtag } from '#gateway/wire/etag.ts'
import { integerArgument } from '#gateway/wire/integer.ts'
import { encodeExpiry } from '#gateway/wire/lifecycle-headers.ts'
import { encodeVersionId } from '#gateway/wire/object-response.ts'
import { all, integer, listLimits, optionalText, parseXml, text, type XmlNode } from '#gateway/xml/parse.ts'
import { el, type Xml } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import type { Checksum } from '#src/model/checksum.ts'
import { checksumAlgorithms } from '#src/model/digests.ts'
import type { CompletingPart } from '#src/model/multipart.ts'
import type { Written } from '#src/service/services.ts'
import { uploadOf } from './target.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html */
const partsMax = 10_000
const objectBytesMax = 5 * 2 ** 40

export const completeMultipartUpload = operation({
  name: 'CompleteMultipartUpload',
  match: { method: 'POST', scope: 'object', keys: ['uploadId'] },
  site: 'upload',
  action: 's3:PutObject',

  async decode(request) {
    const { headers, body } = request
    const customerKey = decodeCustomerKey(headers)
    const size = headers['x-amz-mp-object-size']
    const checksum = decodeWholeChecksum(headers)
    return {
      ...uploadOf(request),
      conditions: writeConditions(headers),
      ...(checksum !== undefined && { checksum }),
      ...(customerKey !== undefined && { customerKey }),
      ...(size !== undefined && { objectSize: integerArgument('x-amz-mp-object-size', size, 0, objectBytesMax) }),
      parts: decodeParts(await body.collect(listLimits.bytesMax)),
    }
  },

  async run(input, { services, guard, request }) {
    const answer = await answerSoon(services.uploads.complete({ ...input, guard, cause: request }))
    return { answer, name: input.name, location: locationOf(request) }
  },

  encode: ({ answer, name, location }, request) =>
    encodeAnswer(
      answer,
      ({ version }: Written): Xml =>
        el(
          'CompleteMultipartUploadResult',
          el('Location', location),
          el('Bucket', name.bucket),
          el('Key', name.key),
          el('ETag', quoteEtag(version.etag)),
          ...checksumElements(version.checksum),
        ),
      ({ version, versionId, expiry }) => {
        const headers: Record<string, string> = {}
        encodeVersionId(versionId, headers)
        encodeEncryption(version.encryption, request.headers, headers)
        encodeExpiry(expiry, headers)
        return headers
      },
    ),
})

/** Of the object to be: the number of parts behind a value says that it is composite. */
function decodeWholeChecksum(headers: S3Request['headers']): Checksum | undefined {
  const given = decodeChecksumHeader(headers)
  const type = decodeChecksumType(headers['x-amz-checksum-type'])
  if (given === undefined) return undefined
  return { ...given, type: type ?? (given.value.includes('-') ? 'COMPOSITE' : 'FULL_OBJECT') }
}

function decodeParts(bytes: Uint8Array): readonly CompletingPart[] {
  if (bytes.length === 0) throw new Fault('MalformedXML')
  const parts = all(parseXml(bytes, 'CompleteMultipartUpload', listLimits), 'Part')
  if (parts.length === 0 || parts.length > partsMax) throw new Fault('MalformedXML')
  return withoutRepeats(parts.map(decodePart))
}

/** A part that was sent again, and is named again for it, is named by the last of its names. */
function withoutRepeats(parts: readonly CompletingPart[]): readonly CompletingPart[] {
  return parts.filter(({ number }, index) => number !== parts[index + 1]?.number)
}

function decodePart(node: XmlNode): CompletingPart {
  const part = { number: integer(node, 'PartNumber', 1, partsMax), etag: unquoteEtag(text(node, 'ETag')) }
  for (const algorithm of checksumAlgorithms) {
    const value = optionalText(node, `Checksum${algorithm}`)
    if (value !== undefined) return { ...part, checksum: { algorithm, type: 'FULL_OBJECT', value } }
  }
  return part
}

function locationOf({ isSecure, host, bucket, key }: S3Request): string {
  const path = [bucket, ...key.split('/')].map(encodeURIComponent).join('/')
  return `${isSecure ? 'https' : 'http'}://${host}/${path}`
}
