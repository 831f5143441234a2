import { operation } from '#gateway/operations/operation.ts'
import { malformed, text } from '#gateway/xml/parse.ts'
import { el } from '#gateway/xml/render.ts'
import { changeBucket, done, readBucket, readDocument } from './setting.ts'

/** Nobody is billed here: the setting is kept for those who do, and has no other effect. */
const setting = 'requestPayment'
const payers: ReadonlySet<string> = new Set(['BucketOwner', 'Requester'])

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketRequestPayment.html */
export const getBucketRequestPayment = operation({
  name: 'GetBucketRequestPayment',
  match: { method: 'GET', scope: 'bucket', keys: ['requestPayment'] },
  action: 's3:GetBucketRequestPayment',
  decode: () => undefined,
  run: (_, context) => readBucket(context),
  encode: ({ documents }) => ({
    status: 200,
    body: el('RequestPaymentConfiguration', el('Payer', documents[setting] ?? 'BucketOwner')),
  }),
})

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketRequestPayment.html */
export const putBucketRequestPayment = operation({
  name: 'PutBucketRequestPayment',
  match: { method: 'PUT', scope: 'bucket', keys: ['requestPayment'] },
  action: 's3:PutBucketRequestPayment',

  async decode(request) {
    const payer = text(await readDocument(request, 'RequestPaymentConfiguration'), 'Payer')
    if (!payers.has(payer)) throw malformed()
    return payer
  },

  run: (payer, context) =>
    changeBucket(context, (bucket) => ({ ...bucket, documents: { ...bucket.documents, [setting]: payer } })),
  encode: done,
})
