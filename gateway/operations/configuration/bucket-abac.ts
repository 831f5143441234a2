import { operation } from '#gateway/operations/operation.ts'
import { malformed, text } from '#gateway/xml/parse.ts'
import { el } from '#gateway/xml/render.ts'
import { changeBucket, done, readBucket, readDocument } from './setting.ts'

/**
 * Whether policies may ask for the tags of the bucket. Here they may anyway, as they could before AWS had this setting, so it
 * is kept and told only.
 */
const setting = 'abac'
const statuses: ReadonlySet<string> = new Set(['Enabled', 'Disabled'])

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketAbac.html */
export const getBucketAbac = operation({
  name: 'GetBucketAbac',
  match: { method: 'GET', scope: 'bucket', keys: ['abac'] },
  action: 's3:GetBucketAbac',
  decode: () => undefined,
  run: (_, context) => readBucket(context),
  encode: ({ documents }) => ({
    status: 200,
    body: el('AbacStatus', el('Status', documents[setting] ?? 'Disabled')),
  }),
})

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAbac.html */
export const putBucketAbac = operation({
  name: 'PutBucketAbac',
  match: { method: 'PUT', scope: 'bucket', keys: ['abac'] },
  action: 's3:PutBucketAbac',

  async decode(request) {
    const status = text(await readDocument(request, 'AbacStatus'), 'Status')
    if (!statuses.has(status)) throw malformed()
    return status
  },

  run: (status, context) =>
    changeBucket(context, (bucket) => ({ ...bucket, documents: { ...bucket.documents, [setting]: status } })),
  encode: done,
})
