import { operation } from '#gateway/operations/operation.ts'
import { parseWebsite, websiteElement } from '#gateway/wire/website-document.ts'
import { changeBucket, done, gone, present, readBucket, readDocument } from './setting.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketWebsite.html */
export const getBucketWebsite = operation({
  name: 'GetBucketWebsite',
  match: { method: 'GET', scope: 'bucket', keys: ['website'] },
  action: 's3:GetBucketWebsite',
  decode: () => undefined,
  async run(_, context) {
    const bucket = await readBucket(context)
    return present(bucket.website, 'NoSuchWebsiteConfiguration', bucket)
  },
  encode: (website) => ({ status: 200, body: websiteElement(website) }),
})

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketWebsite.html */
export const putBucketWebsite = operation({
  name: 'PutBucketWebsite',
  match: { method: 'PUT', scope: 'bucket', keys: ['website'] },
  action: 's3:PutBucketWebsite',
  decode: async (request) => parseWebsite(await readDocument(request, 'WebsiteConfiguration')),
  run: (website, context) => changeBucket(context, (bucket) => ({ ...bucket, website })),
  encode: done,
})

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketWebsite.html */
export const deleteBucketWebsite = operation({
  name: 'DeleteBucketWebsite',
  match: { method: 'DELETE', scope: 'bucket', keys: ['website'] },
  action: 's3:DeleteBucketWebsite',
  decode: () => undefined,
  run: (_, context) => changeBucket(context, ({ website: _website, ...bucket }) => bucket),
  encode: gone,
})
