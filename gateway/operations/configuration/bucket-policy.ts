import { operation } from '#gateway/operations/operation.ts'
import { el } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import { parseBucketPolicy } from '#src/model/policy-document.ts'
import { checkPublicPolicy, isPublicBucket } from '#src/model/public-access.ts'
import { changeBucket, gone, present, readBody, readBucket } from './setting.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketPolicy.html */
export const getBucketPolicy = operation({
  name: 'GetBucketPolicy',
  match: { method: 'GET', scope: 'bucket', keys: ['policy'] },
  action: 's3:GetBucketPolicy',
  decode: () => undefined,
  async run(_, context) {
    const bucket = await readBucket(context)
    return present(bucket.policy, 'NoSuchBucketPolicy', bucket)
  },
  encode: (policy) => ({ status: 200, headers: { 'content-type': 'application/json' }, body: policy }),
})

const decoder = new TextDecoder('utf-8', { fatal: true })

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html */
export const putBucketPolicy = operation({
  name: 'PutBucketPolicy',
  match: { method: 'PUT', scope: 'bucket', keys: ['policy'] },
  action: 's3:PutBucketPolicy',

  async decode(request) {
    const document = textOf(await readBody(request))
    return { document, policy: parseBucketPolicy(document, request.bucket) }
  },

  run: ({ document, policy }, context) =>
    changeBucket(context, (bucket) => {
      checkPublicPolicy(bucket, policy)
      return { ...bucket, policy: document }
    }),
  encode: gone,
})

function textOf(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch {
    throw new Fault('MalformedPolicy', { message: 'Policies must be UTF-8.' })
  }
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketPolicy.html */
export const deleteBucketPolicy = operation({
  name: 'DeleteBucketPolicy',
  match: { method: 'DELETE', scope: 'bucket', keys: ['policy'] },
  action: 's3:DeleteBucketPolicy',
  decode: () => undefined,
  run: (_, context) => changeBucket(context, ({ policy: _policy, ...bucket }) => bucket),
  encode: gone,
})

/**
 * Whether anybody may do something, by policy or ACL; without a policy too, as ceph's tests have it (AWS answers
 * NoSuchBucketPolicy). https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketPolicyStatus.html
 */
export const getBucketPolicyStatus = operation({
  name: 'GetBucketPolicyStatus',
  match: { method: 'GET', scope: 'bucket', keys: ['policyStatus'] },
  action: 's3:GetBucketPolicyStatus',
  decode: () => undefined,
  async run(_, context) {
    return isPublicBucket(await readBucket(context))
  },
  encode: (isOpen) => ({ status: 200, body: el('PolicyStatus', el('IsPublic', isOpen)) }),
})
