import { passGuard } from '#gateway/operations/object/target.ts'
import { operation } from '#gateway/operations/operation.ts'
import { dateArgument } from '#gateway/wire/conditions.ts'
import { uploadOf } from './target.ts'

const initiatedName = 'x-amz-if-match-initiated-time'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html */
export const abortMultipartUpload = operation({
  name: 'AbortMultipartUpload',
  match: { method: 'DELETE', scope: 'object', keys: ['uploadId'] },
  site: 'upload',
  action: 's3:AbortMultipartUpload',

  decode(request) {
    const text = request.headers[initiatedName]
    return {
      ...uploadOf(request),
      ...(text !== undefined && { ifInitiated: dateArgument(initiatedName, text) }),
    }
  },

  async run(upload, context) {
    await passGuard(context)
    await context.services.uploads.abort(upload)
  },

  encode: () => ({ status: 204 }),
})
