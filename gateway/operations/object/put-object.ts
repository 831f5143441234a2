import { operation, type S3Request } from '#gateway/operations/operation.ts'
import { decodeDigests, encodeChecksumHeaders } from '#gateway/wire/checksums.ts'
import { writeConditions } from '#gateway/wire/conditions.ts'
import { asksEncryption, encodeEncryption } from '#gateway/wire/encryption-headers.ts'
import { quoteEtag } from '#gateway/wire/etag.ts'
import { encodeExpiry } from '#gateway/wire/lifecycle-headers.ts'
import { encodeVersionId } from '#gateway/wire/object-response.ts'
import { decodeWriteOffset } from '#gateway/wire/write-offset.ts'
import { Fault } from '#src/errors.ts'
import type { Written } from '#src/service/services.ts'
import { decodeAttributes, resolveNewObject } from './attributes.ts'
import { boundedBody } from './body-length.ts'
import { nameOf } from './target.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html */
export const putObject = operation({
  name: 'PutObject',
  match: { method: 'PUT', scope: 'object' },
  action: 's3:PutObject',

  decode(request) {
    refusePartNames(request)
    const { headers, body } = request
    return {
      bounded: boundedBody(request),
      requested: decodeAttributes(headers),
      digests: decodeDigests(headers, body),
      conditions: writeConditions(headers),
      offset: decodeWriteOffset(headers),
    }
  },

  async run({ bounded: body, requested, digests, conditions, offset }, context) {
    const { request, guard, services } = context
    const created = await resolveNewObject(requested, context)
    const put = { name: nameOf(request), ...created, body, digests, conditions, guard, cause: request }
    if (offset === undefined) {
      return { written: await services.objects.put({ ...put, since: request.since }), isAppended: false }
    }
    const written = await services.objects.append({ ...put, offset, asksEncryption: asksEncryption(request.headers) })
    return { written, isAppended: true }
  },

  encode({ written, isAppended }, { headers: sent }) {
    const headers = writtenHeaders(written, sent)
    if (isAppended) headers['x-amz-object-size'] = String(written.version.size)
    return { status: 200, headers }
  },
})

/** `sent`: the headers of the request. */
export function writtenHeaders(
  { version, versionId, expiry }: Written,
  sent: S3Request['headers'],
): Record<string, string> {
  const headers: Record<string, string> = { etag: quoteEtag(version.etag) }
  encodeChecksumHeaders(version.checksum, headers)
  encodeVersionId(versionId, headers)
  encodeEncryption(version.encryption, sent, headers)
  encodeExpiry(expiry, headers)
  return headers
}

/** One half of UploadPart must not become a whole object under its key. */
function refusePartNames({ query }: S3Request): void {
  for (const name of ['uploadId', 'partNumber', 'versionId']) {
    if (query.has(name)) {
      throw new Fault('InvalidArgument', {
        message: `This operation does not accept the query parameter ${name} without what belongs to it.`,
        ArgumentName: name,
        ArgumentValue: query.get(name) ?? '',
      })
    }
  }
}
