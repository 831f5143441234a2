import { type Context, operation } from '#gateway/operations/operation.ts'
import { decodeDigests } from '#gateway/wire/checksums.ts'
import { encodeVersionId } from '#gateway/wire/object-response.ts'
import { parseTagging, taggingElement } from '#gateway/wire/tagging-document.ts'
import { objectTagsMax } from '#src/model/tags.ts'
import type { Tags } from '#src/model/version.ts'
import type { Found } from '#src/service/services.ts'
import { actionOf, type Target, targetOf } from './target.ts'
import { collectVerified } from './verified-body.ts'

/** Ten tags of the longest kind, written as entities. */
const documentBytesMax = 64 * 1024

const none: Tags = new Map()

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectTagging.html */
export const getObjectTagging = operation({
  name: 'GetObjectTagging',
  match: { method: 'GET', scope: 'object', keys: ['tagging'] },
  action: actionOf('s3:GetObjectTagging', 's3:GetObjectVersionTagging'),
  decode: targetOf,
  run: (target, { services, guard }) => services.objects.find({ ...target, guard }),
  encode: (found) => ({
    status: 200,
    headers: versionHeaders(found),
    body: taggingElement(found.version.tags?.value ?? none),
  }),
})

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectTagging.html */
export const putObjectTagging = operation({
  name: 'PutObjectTagging',
  match: { method: 'PUT', scope: 'object', keys: ['tagging'] },
  action: actionOf('s3:PutObjectTagging', 's3:PutObjectVersionTagging'),

  async decode(request) {
    const { headers, body } = request
    const bytes = await collectVerified(body, decodeDigests(headers, body), documentBytesMax)
    return { target: targetOf(request), tags: parseTagging(bytes, objectTagsMax) }
  },

  tags: ({ tags }) => tags,
  run: (input, context) => setTags(input.target, input.tags, context),
  encode: (found) => ({ status: 200, headers: versionHeaders(found) }),
})

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjectTagging.html */
export const deleteObjectTagging = operation({
  name: 'DeleteObjectTagging',
  match: { method: 'DELETE', scope: 'object', keys: ['tagging'] },
  action: actionOf('s3:DeleteObjectTagging', 's3:DeleteObjectVersionTagging'),
  decode: targetOf,
  run: (target, context) => setTags(target, undefined, context),
  encode: (found) => ({ status: 204, headers: versionHeaders(found) }),
})

async function setTags(target: Target, value: Tags | undefined, { services, guard, request }: Context): Promise<Found> {
  return await services.objects.update({ ...target, guard, cause: request, change: () => ({ tags: value }) })
}

function versionHeaders({ versionId }: Found): Record<string, string> {
  const headers: Record<string, string> = {}
  encodeVersionId(versionId, headers)
  return headers
}
