import { operation } from '#gateway/operations/operation.ts'
import { parseTagging, taggingElement } from '#gateway/wire/tagging-document.ts'
import { bucketTagsMax } from '#src/model/tags.ts'
import { changeBucket, gone, present, readBody, readBucket } from './setting.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketTagging.html */
export const getBucketTagging = operation({
  name: 'GetBucketTagging',
  match: { method: 'GET', scope: 'bucket', keys: ['tagging'] },
  action: 's3:GetBucketTagging',
  decode: () => undefined,
  async run(_, context) {
    const bucket = await readBucket(context)
    return present(bucket.tags, 'NoSuchTagSet', bucket)
  },
  encode: (tags) => ({ status: 200, body: taggingElement(tags) }),
})

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketTagging.html */
export const putBucketTagging = operation({
  name: 'PutBucketTagging',
  match: { method: 'PUT', scope: 'bucket', keys: ['tagging'] },
  action: 's3:PutBucketTagging',
  decode: async (request) => parseTagging(await readBody(request), bucketTagsMax),
  run: (tags, context) => changeBucket(context, (bucket) => ({ ...bucket, tags })),
  encode: gone,
})

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketTagging.html */
export const deleteBucketTagging = operation({
  name: 'DeleteBucketTagging',
  match: { method: 'DELETE', scope: 'bucket', keys: ['tagging'] },
  action: 's3:PutBucketTagging',
  decode: () => undefined,
  run: (_, context) => changeBucket(context, ({ tags: _tags, ...bucket }) => bucket),
  encode: gone,
})
