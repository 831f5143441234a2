import { operation } from '#gateway/operations/operation.ts'
import { malformed, text } from '#gateway/xml/parse.ts'
import { el } from '#gateway/xml/render.ts'
import { parsePayer, payerOf, withPayer } from '#src/model/request-payment.ts'
import { changeBucket, done, readBucket, readDocument } from './setting.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketRequestPayment.html */
export const getBucketRequestPayment = operation({
  name: 'GetBucketRequestPayment',
  match: { method: 'GET', scope: 'bucket', keys: ['requestPayment'] },
  action: 's3:GetBucketRequestPayment',
  decode: () => undefined,
  run: (_, context) => readBucket(context),
  encode: (bucket) => ({ status: 200, body: el('RequestPaymentConfiguration', el('Payer', payerOf(bucket))) }),
})

/**
 * Who does not own the bucket must say that he pays (AccessControl sees to it); nobody writes a bill.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketRequestPayment.html
 */
export const putBucketRequestPayment = operation({
  name: 'PutBucketRequestPayment',
  match: { method: 'PUT', scope: 'bucket', keys: ['requestPayment'] },
  action: 's3:PutBucketRequestPayment',

  async decode(request) {
    const payer = parsePayer(text(await readDocument(request, 'RequestPaymentConfiguration'), 'Payer'))
    if (payer === undefined) throw malformed()
    return payer
  },

  run: (payer, context) => changeBucket(context, (bucket) => withPayer(bucket, payer)),
  encode: done,
})
