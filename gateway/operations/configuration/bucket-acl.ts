import { decodeWish } from '#gateway/operations/object/object-acl.ts'
import { collectVerified } from '#gateway/operations/object/verified-body.ts'
import { operation } from '#gateway/operations/operation.ts'
import { aclElement } from '#gateway/wire/acl-document.ts'
import { decodeDigests } from '#gateway/wire/checksums.ts'
import { Fault } from '#src/errors.ts'
import { aclWish } from '#src/model/acl.ts'
import { ignoresAcls } from '#src/model/ownership.ts'
import { checkPublicAcl } from '#src/model/public-access.ts'
import { Acls } from '#src/service/acls.ts'
import { changeBucket, done, readBucket } from './setting.ts'

/** A hundred grants, written generously. */
const documentBytesMax = 128 * 1024

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketAcl.html */
export const getBucketAcl = operation({
  name: 'GetBucketAcl',
  match: { method: 'GET', scope: 'bucket', keys: ['acl'] },
  action: 's3:GetBucketAcl',
  decode: () => undefined,

  async run(_, context) {
    const { acl, owner } = await readBucket(context)
    const account = await context.services.identity.findAccount(owner)
    return { acl, owner: account ?? { id: owner, displayName: '' } }
  },

  encode: ({ acl, owner }) => ({ status: 200, body: aclElement(acl, owner) }),
})

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAcl.html */
export const putBucketAcl = operation({
  name: 'PutBucketAcl',
  match: { method: 'PUT', scope: 'bucket', keys: ['acl'] },
  action: 's3:PutBucketAcl',

  async decode({ headers, body }) {
    const wish = aclWish((name) => headers[name])
    return decodeWish(wish, await collectVerified(body, decodeDigests(headers, body), documentBytesMax))
  },

  async run({ wish, owner }, context) {
    const bucket = await readBucket(context)
    if (owner !== undefined && owner !== bucket.owner) throw new Fault('AccessDenied')
    const acl = await new Acls(context.services.identity).ofBucket(bucket, wish)
    return await changeBucket(context, (current) => {
      // What was looked up before the transaction must still be about this bucket, and what it takes.
      if (current.owner !== acl.owner) throw new Fault('OperationAborted')
      if (ignoresAcls(current)) throw new Fault('AccessControlListNotSupported')
      checkPublicAcl(current, acl)
      return { ...current, acl }
    })
  },

  encode: done,
})
