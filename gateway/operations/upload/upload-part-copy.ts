import { authorizeSource } from '#gateway/operations/object/copy-object.ts'
import { passGuard } from '#gateway/operations/object/target.ts'
import { operation } from '#gateway/operations/operation.ts'
import { answerSoon, encodeAnswer } from '#gateway/operations/slow-answer.ts'
import { partChecksumElement } from '#gateway/wire/checksums.ts'
import { copySourceConditions } from '#gateway/wire/conditions.ts'
import { parseCopySource } from '#gateway/wire/copy-source.ts'
import { decodeCustomerKey, encodeEncryption } from '#gateway/wire/encryption-headers.ts'
import { quoteEtag } from '#gateway/wire/etag.ts'
import { formatIsoDate } from '#gateway/wire/http-date.ts'
import { parseCopyRange } from '#gateway/wire/range.ts'
import { el } from '#gateway/xml/render.ts'
import { partNumberOf, uploadOf } from './target.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html */
export const uploadPartCopy = operation({
  name: 'UploadPartCopy',
  match: { method: 'PUT', scope: 'object', keys: ['partNumber', 'uploadId', 'x-amz-copy-source'] },
  site: 'upload',
  action: 's3:PutObject',

  decode(request) {
    const { headers } = request
    const range = headers['x-amz-copy-source-range']
    return {
      upload: uploadOf(request),
      number: partNumberOf(request),
      source: parseCopySource(headers['x-amz-copy-source'] ?? ''),
      conditions: copySourceConditions(headers),
      range: range === undefined ? undefined : parseCopyRange(range),
    }
  },

  async run({ upload, number, source, conditions, range }, context) {
    await passGuard(context)
    const guard = await authorizeSource(source, context)
    const { headers } = context.request
    const customerKey = decodeCustomerKey(headers)
    const sourceKey = decodeCustomerKey(headers, 'source')
    const { uploads } = context.services
    const { encryption } = await uploads.get(upload)
    const copying = uploads.copyPart({
      ...upload,
      number,
      source: { ...source, guard, conditions, ...(sourceKey !== undefined && { customerKey: sourceKey }) },
      ...(customerKey !== undefined && { customerKey }),
      ...(range !== undefined && { range: { from: range.from, to: range.to + 1 } }),
    })
    return { answer: await answerSoon(copying), encryption }
  },

  encode({ answer, encryption }, request) {
    const known: Record<string, string> = {}
    encodeEncryption(encryption, request.headers, known)
    return encodeAnswer(
      answer,
      ({ part }) =>
        el(
          'CopyPartResult',
          el('LastModified', formatIsoDate(part.modified)),
          el('ETag', quoteEtag(part.etag)),
          partChecksumElement(part.checksum),
        ),
      ({ sourceVersionId }): Record<string, string> =>
        sourceVersionId === undefined ? {} : { 'x-amz-copy-source-version-id': sourceVersionId },
      known,
    )
  },
})
