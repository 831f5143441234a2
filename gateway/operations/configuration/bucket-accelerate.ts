import { operation } from '#gateway/operations/operation.ts'
import { malformed, text } from '#gateway/xml/parse.ts'
import { el } from '#gateway/xml/render.ts'
import { changeBucket, done, readBucket, readDocument } from './setting.ts'

/** Asks for copies in other regions as soon as something is written; there is one region yet, so it is kept and told only. */
const setting = 'accelerate'
const statuses: ReadonlySet<string> = new Set(['Enabled', 'Suspended'])

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketAccelerateConfiguration.html */
export const getBucketAccelerateConfiguration = operation({
  name: 'GetBucketAccelerateConfiguration',
  match: { method: 'GET', scope: 'bucket', keys: ['accelerate'] },
  action: 's3:GetAccelerateConfiguration',
  decode: () => undefined,
  run: (_, context) => readBucket(context),
  encode({ documents: { [setting]: status } }) {
    return { status: 200, body: el('AccelerateConfiguration', status === undefined ? undefined : el('Status', status)) }
  },
})

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAccelerateConfiguration.html */
export const putBucketAccelerateConfiguration = operation({
  name: 'PutBucketAccelerateConfiguration',
  match: { method: 'PUT', scope: 'bucket', keys: ['accelerate'] },
  action: 's3:PutAccelerateConfiguration',

  async decode(request) {
    const status = text(await readDocument(request, 'AccelerateConfiguration'), 'Status')
    if (!statuses.has(status)) throw malformed()
    return status
  },

  run: (status, context) =>
    changeBucket(context, (bucket) => ({ ...bucket, documents: { ...bucket.documents, [setting]: status } })),
  encode: done,
})
