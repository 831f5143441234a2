import { operation } from '#gateway/operations/operation.ts'
import { optionalBoolean } from '#gateway/xml/parse.ts'
import { el } from '#gateway/xml/render.ts'
import { changeBucket, done, gone, present, readBucket, readDocument } from './setting.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetPublicAccessBlock.html */
export const getPublicAccessBlock = operation({
  name: 'GetPublicAccessBlock',
  match: { method: 'GET', scope: 'bucket', keys: ['publicAccessBlock'] },
  action: 's3:GetBucketPublicAccessBlock',
  decode: () => undefined,
  async run(_, context) {
    const bucket = await readBucket(context)
    return present(bucket.publicAccessBlock, 'NoSuchPublicAccessBlockConfiguration', bucket)
  },
  encode: (block) => ({
    status: 200,
    body: el(
      'PublicAccessBlockConfiguration',
      el('BlockPublicAcls', block.blockPublicAcls),
      el('IgnorePublicAcls', block.ignorePublicAcls),
      el('BlockPublicPolicy', block.blockPublicPolicy),
      el('RestrictPublicBuckets', block.restrictPublicBuckets),
    ),
  }),
})

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutPublicAccessBlock.html */
export const putPublicAccessBlock = operation({
  name: 'PutPublicAccessBlock',
  match: { method: 'PUT', scope: 'bucket', keys: ['publicAccessBlock'] },
  action: 's3:PutBucketPublicAccessBlock',

  async decode(request) {
    const document = await readDocument(request, 'PublicAccessBlockConfiguration')
    return {
      blockPublicAcls: optionalBoolean(document, 'BlockPublicAcls') ?? false,
      ignorePublicAcls: optionalBoolean(document, 'IgnorePublicAcls') ?? false,
      blockPublicPolicy: optionalBoolean(document, 'BlockPublicPolicy') ?? false,
      restrictPublicBuckets: optionalBoolean(document, 'RestrictPublicBuckets') ?? false,
    }
  },

  run: (publicAccessBlock, context) => changeBucket(context, (bucket) => ({ ...bucket, publicAccessBlock })),
  encode: done,
})

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeletePublicAccessBlock.html */
export const deletePublicAccessBlock = operation({
  name: 'DeletePublicAccessBlock',
  match: { method: 'DELETE', scope: 'bucket', keys: ['publicAccessBlock'] },
  action: 's3:PutBucketPublicAccessBlock',
  decode: () => undefined,
  run: (_, context) => changeBucket(context, ({ publicAccessBlock: _block, ...bucket }) => bucket),
  encode: gone,
})
