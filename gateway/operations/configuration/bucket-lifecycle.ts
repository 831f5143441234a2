import { operation, type S3Request } from '#gateway/operations/operation.ts'
import { lifecycleElement, parseLifecycle } from '#gateway/wire/lifecycle-document.ts'
import { Fault } from '#src/errors.ts'
import {
  leadsToStandard,
  lifecycleOf,
  type TransitionMinimum,
  transitionMinimums,
  withLifecycle,
} from '#src/model/lifecycle.ts'
import { changeBucket, gone, present, readBucket, readDocument } from './setting.ts'

const minimumHeader = 'x-amz-transition-default-minimum-object-size'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLifecycleConfiguration.html */
export const getBucketLifecycleConfiguration = operation({
  name: 'GetBucketLifecycleConfiguration',
  match: { method: 'GET', scope: 'bucket', keys: ['lifecycle'] },
  action: 's3:GetLifecycleConfiguration',
  decode: () => undefined,

  async run(_, context) {
    const bucket = await readBucket(context)
    return present(lifecycleOf(bucket), 'NoSuchLifecycleConfiguration', bucket)
  },

  encode: ({ rules, transitionMinimum }) => ({
    status: 200,
    headers: { [minimumHeader]: transitionMinimum },
    body: lifecycleElement(rules),
  }),
})

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html; the old form is a part of the new. */
export const putBucketLifecycleConfiguration = operation({
  name: 'PutBucketLifecycleConfiguration',
  match: { method: 'PUT', scope: 'bucket', keys: ['lifecycle'] },
  action: 's3:PutLifecycleConfiguration',

  async decode(request) {
    const minimum = decodeMinimum(request)
    return { minimum, document: await readDocument(request, 'LifecycleConfiguration') }
  },

  async run({ document, minimum }, context) {
    const { transitions: way, tiers, ...defaults } = context.services.lifecycle
    const rules = parseLifecycle(document, tiers)
    if (way === 'down' && rules.some(leadsToStandard)) throw new Fault('MalformedXML')
    const transitionMinimum = minimum ?? defaults.transitionMinimum
    const lifecycle = { rules, transitionMinimum, ...(way !== 'down' && { way }) }
    await changeBucket(context, (bucket) => withLifecycle(bucket, lifecycle))
    return transitionMinimum
  },

  encode: (transitionMinimum) => ({ status: 200, headers: { [minimumHeader]: transitionMinimum } }),
})

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketLifecycle.html */
export const deleteBucketLifecycle = operation({
  name: 'DeleteBucketLifecycle',
  match: { method: 'DELETE', scope: 'bucket', keys: ['lifecycle'] },
  action: 's3:PutLifecycleConfiguration',
  decode: () => undefined,
  run: (_, context) => changeBucket(context, (bucket) => withLifecycle(bucket, undefined)),
  encode: gone,
})

function decodeMinimum({ headers }: S3Request): TransitionMinimum | undefined {
  const written = headers[minimumHeader]
  if (written === undefined) return undefined
  const known = transitionMinimums.find((each) => each === written)
  if (known === undefined) {
    throw new Fault('InvalidArgument', { ArgumentName: minimumHeader, ArgumentValue: written })
  }
  return known
}
