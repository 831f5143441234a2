import { operation } from '#gateway/operations/operation.ts'
import { deleteConditions } from '#gateway/wire/conditions.ts'
import { encodeVersionId } from '#gateway/wire/object-response.ts'
import { ownerOf } from './attributes.ts'
import { actionOf, bypassOf, targetOf } from './target.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html */
export const deleteObject = operation({
  name: 'DeleteObject',
  match: { method: 'DELETE', scope: 'object' },
  action: actionOf('s3:DeleteObject', 's3:DeleteObjectVersion'),

  decode: (request) => ({ target: targetOf(request), conditions: deleteConditions(request.headers) }),

  async run({ target, conditions }, context) {
    const bypass = await bypassOf(context)
    return await context.services.objects.delete({
      ...target,
      conditions,
      ...bypass,
      caller: ownerOf(context.caller),
      cause: context.request,
      since: context.request.since,
    })
  },

  encode({ isMarker, versionId }) {
    const headers: Record<string, string> = {}
    if (isMarker) headers['x-amz-delete-marker'] = 'true'
    encodeVersionId(versionId, headers)
    return { status: 204, headers }
  },
})
