import { operation } from '#gateway/operations/operation.ts'
import { child, malformed, text } from '#gateway/xml/parse.ts'
import { el } from '#gateway/xml/render.ts'
import { parseOwnership } from '#src/model/bucket.ts'
import { checkEnforceable } from '#src/model/ownership.ts'
import { changeBucket, done, gone, present, readBucket, readDocument } from './setting.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketOwnershipControls.html */
export const getBucketOwnershipControls = operation({
  name: 'GetBucketOwnershipControls',
  match: { method: 'GET', scope: 'bucket', keys: ['ownershipControls'] },
  action: 's3:GetBucketOwnershipControls',
  decode: () => undefined,
  async run(_, context) {
    const bucket = await readBucket(context)
    return present(bucket.ownership, 'OwnershipControlsNotFoundError', bucket)
  },
  encode: (ownership) => ({
    status: 200,
    body: el('OwnershipControls', el('Rule', el('ObjectOwnership', ownership))),
  }),
})

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketOwnershipControls.html */
export const putBucketOwnershipControls = operation({
  name: 'PutBucketOwnershipControls',
  match: { method: 'PUT', scope: 'bucket', keys: ['ownershipControls'] },
  action: 's3:PutBucketOwnershipControls',

  async decode(request) {
    const rule = child(await readDocument(request, 'OwnershipControls'), 'Rule')
    const ownership = parseOwnership(text(rule, 'ObjectOwnership').trim())
    if (ownership === undefined) throw malformed()
    return ownership
  },

  run: (ownership, context) =>
    changeBucket(context, (bucket) => {
      if (ownership === 'BucketOwnerEnforced') checkEnforceable(bucket.acl)
      return { ...bucket, ownership }
    }),
  encode: done,
})

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketOwnershipControls.html */
export const deleteBucketOwnershipControls = operation({
  name: 'DeleteBucketOwnershipControls',
  match: { method: 'DELETE', scope: 'bucket', keys: ['ownershipControls'] },
  action: 's3:PutBucketOwnershipControls',
  decode: () => undefined,
  run: (_, context) => changeBucket(context, ({ ownership: _ownership, ...bucket }) => bucket),
  encode: gone,
})
