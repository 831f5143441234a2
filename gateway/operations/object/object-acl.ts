import { operation } from '#gateway/operations/operation.ts'
import { aclElement, parseAcl } from '#gateway/wire/acl-document.ts'
import { decodeDigests } from '#gateway/wire/checksums.ts'
import { encodeVersionId } from '#gateway/wire/object-response.ts'
import { Fault } from '#src/errors.ts'
import { type AclWish, aclWish } from '#src/model/acl.ts'
import { Acls } from '#src/service/acls.ts'
import { actionOf, targetOf } from './target.ts'
import { collectVerified } from './verified-body.ts'

/** A hundred grants, written generously. */
const documentBytesMax = 128 * 1024

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAcl.html */
export const getObjectAcl = operation({
  name: 'GetObjectAcl',
  match: { method: 'GET', scope: 'object', keys: ['acl'] },
  action: actionOf('s3:GetObjectAcl', 's3:GetObjectVersionAcl'),
  decode: targetOf,

  async run(target, { services, guard }) {
    const { version, versionId } = await services.objects.find({ ...target, guard })
    const owner = await services.identity.findAccount(version.owner)
    return { acl: version.acl.value, owner: owner ?? { id: version.owner, displayName: '' }, versionId }
  },

  encode({ acl, owner, versionId }) {
    const headers: Record<string, string> = {}
    encodeVersionId(versionId, headers)
    return { status: 200, headers, body: aclElement(acl, owner) }
  },
})

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectAcl.html */
export const putObjectAcl = operation({
  name: 'PutObjectAcl',
  match: { method: 'PUT', scope: 'object', keys: ['acl'] },
  action: actionOf('s3:PutObjectAcl', 's3:PutObjectVersionAcl'),

  async decode(request) {
    const { headers, body } = request
    const wish = aclWish((name) => headers[name])
    const bytes = await collectVerified(body, decodeDigests(headers, body), documentBytesMax)
    return { target: targetOf(request), ...decodeWish(wish, bytes) }
  },

  async run({ target, wish, owner }, { services, guard, request }) {
    const bucket = await services.buckets.get(target.name.bucket)
    const { version } = await services.objects.find({ ...target, guard })
    if (owner !== undefined && owner !== version.owner) throw new Fault('AccessDenied')
    const acl = await new Acls(services.identity).ofObject(bucket, version.owner, wish)
    return await services.objects.update({
      ...target,
      guard,
      cause: request,
      // Somebody else's object may stand here by now: its ACL is not what was asked about.
      change: (current) => {
        if (current.owner !== acl.owner) throw new Fault('OperationAborted')
        return { acl }
      },
    })
  },

  encode({ versionId }) {
    const headers: Record<string, string> = {}
    encodeVersionId(versionId, headers)
    return { status: 200, headers }
  },
})

/** By headers or by a document, and not by both. */
export function decodeWish(wish: AclWish | undefined, bytes: Uint8Array): { wish: AclWish; owner?: string } {
  if (bytes.length === 0) {
    if (wish === undefined) throw new Fault('MissingSecurityHeader', { MissingHeaderName: 'x-amz-acl' })
    return { wish }
  }
  if (wish !== undefined) {
    throw new Fault('UnexpectedContent', { message: 'This request does not support content' })
  }
  const { owner, grants } = parseAcl(bytes)
  return { wish: { grants }, ...(owner !== undefined && owner !== '' && { owner }) }
}
