import { decodeAttributes, ownerOf, resolveNewObject } from '#gateway/operations/object/attributes.ts'
import { nameOf, passGuard } from '#gateway/operations/object/target.ts'
import { operation } from '#gateway/operations/operation.ts'
import { decodeUploadChecksum } from '#gateway/wire/checksums.ts'
import { encodeEncryption } from '#gateway/wire/encryption-headers.ts'
import { encodeAbort } from '#gateway/wire/lifecycle-headers.ts'
import { el } from '#gateway/xml/render.ts'
import { findAbort } from './target.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html */
export const createMultipartUpload = operation({
  name: 'CreateMultipartUpload',
  match: { method: 'POST', scope: 'object', keys: ['uploads'] },
  action: 's3:PutObject',
  decode: ({ headers }) => ({ requested: decodeAttributes(headers), checksum: decodeUploadChecksum(headers) }),

  async run({ requested, checksum }, context) {
    await passGuard(context)
    const created = await resolveNewObject(requested, context)
    const upload = await context.services.uploads.create({
      name: nameOf(context.request),
      ...created,
      initiator: ownerOf(context.caller),
      ...(checksum !== undefined && { checksum }),
    })
    return { upload, abort: await findAbort(context, upload) }
  },

  encode({ upload: { id, name, checksum, encryption }, abort }, request) {
    const headers: Record<string, string> = {}
    if (checksum !== undefined) {
      headers['x-amz-checksum-algorithm'] = checksum.algorithm
      headers['x-amz-checksum-type'] = checksum.type
    }
    encodeEncryption(encryption, request.headers, headers)
    encodeAbort(abort, headers)
    const body = el('InitiateMultipartUploadResult', el('Bucket', name.bucket), el('Key', name.key), el('UploadId', id))
    return { status: 200, headers, body }
  },
})
