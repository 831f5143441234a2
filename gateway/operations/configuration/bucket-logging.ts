import { type Context, operation } from '#gateway/operations/operation.ts'
import { loggingElement, parseLogging } from '#gateway/wire/logging-document.ts'
import { el } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { Logging } from '#src/model/logging.ts'
import { Acls } from '#src/service/acls.ts'
import { readBucket, readDocument } from './setting.ts'

const match = (method: 'GET' | 'PUT' | 'POST') => ({ method, scope: 'bucket', keys: ['logging'] }) as const

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLogging.html */
export const getBucketLogging = operation({
  name: 'GetBucketLogging',
  match: match('GET'),
  action: 's3:GetBucketLogging',
  decode: () => undefined,

  async run(_, context) {
    const { logging } = await readBucket(context)
    return { logging, rollSeconds: context.services.logs.rollSeconds }
  },

  encode: ({ logging, rollSeconds }) => ({
    status: 200,
    headers: logging === undefined ? {} : { 'last-modified': new Date(logging.modified).toUTCString() },
    body: loggingElement(logging, rollSeconds),
  }),
})

/** "To set the logging status of a bucket, you must be the bucket owner": no policy gives it to others. */
function checkOwner({ caller, guard }: Context, bucket: Bucket): void {
  guard(undefined, bucket)
  const isOwner = caller.kind === 'account' && (caller.account.id === bucket.owner || caller.account.isAdministrator)
  if (!isOwner) throw new Fault('AccessDenied')
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLogging.html */
export const putBucketLogging = operation({
  name: 'PutBucketLogging',
  match: match('PUT'),
  action: 's3:PutBucketLogging',
  decode: async (request) => parseLogging(await readDocument(request, 'BucketLoggingStatus')),

  async run(requested, context) {
    const { services, request } = context
    checkOwner(context, await services.buckets.get(request.bucket))
    const logging = requested === undefined ? undefined : { ...requested, grants: await grantsOf(requested, context) }
    return await services.logs.configure(request.bucket, (bucket) => {
      checkOwner(context, bucket)
      return logging
    })
  },

  encode: (flushed) =>
    flushed === undefined ? { status: 200 } : { status: 200, body: flushedElement('PutBucketLoggingOutput', flushed) },
})

async function grantsOf(
  { target, grants }: NonNullable<ReturnType<typeof parseLogging>>,
  { services }: Context,
): Promise<Logging['grants']> {
  if (grants.length === 0) return []
  const bucket = await services.buckets.get(target).catch((error: unknown) => {
    // Whether there is a target is said with all else about it.
    if (error instanceof Fault) return undefined
    throw error
  })
  return await new Acls(services.identity).ofLogs(bucket, grants)
}

/** Ceph's: https://docs.ceph.com/en/latest/radosgw/s3/bucketops/#post-bucket-logging */
export const postBucketLogging = operation({
  name: 'PostBucketLogging',
  match: match('POST'),
  action: 's3:PutBucketLogging',
  decode: () => undefined,
  run: (_, context) => context.services.logs.flush(context.request.bucket, (bucket) => checkOwner(context, bucket)),
  encode: (flushed) => ({ status: 200, body: flushedElement('PostBucketLoggingOutput', flushed) }),
})

/** Ceph's clients ask for it; others take an answer without a body, and one with it. */
const flushedElement = (name: string, key: string) => el(name, el('FlushedLoggingObject', key))
