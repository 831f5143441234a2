import { readBucket } from '#gateway/operations/configuration/setting.ts'
import { operation } from '#gateway/operations/operation.ts'
import { el } from '#gateway/xml/render.ts'

/** Empty where no location was asked for. https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html */
export const getBucketLocation = operation({
  name: 'GetBucketLocation',
  match: { method: 'GET', scope: 'bucket', keys: ['location'] },
  action: 's3:GetBucketLocation',
  decode: () => undefined,
  run: (_, context) => readBucket(context),
  encode: ({ location }) => ({
    status: 200,
    body: el('LocationConstraint', location === '' ? undefined : location),
  }),
})
