import { type Context, operation } from '#gateway/operations/operation.ts'
import { parseReplication, replicationElement } from '#gateway/wire/replication-document.ts'
import { Fault } from '#src/errors.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { type Replication, replicationOf, withReplication } from '#src/model/replication.ts'
import { changeBucket, done, gone, present, readBucket, readDocument } from './setting.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketReplication.html */
export const getBucketReplication = operation({
  name: 'GetBucketReplication',
  match: { method: 'GET', scope: 'bucket', keys: ['replication'] },
  action: 's3:GetReplicationConfiguration',
  decode: () => undefined,

  async run(_, context) {
    const bucket = await readBucket(context)
    return present(replicationOf(bucket), 'ReplicationConfigurationNotFoundError', bucket)
  },

  encode: (replication) => ({ status: 200, body: replicationElement(replication) }),
})

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketReplication.html */
export const putBucketReplication = operation({
  name: 'PutBucketReplication',
  match: { method: 'PUT', scope: 'bucket', keys: ['replication'] },
  action: 's3:PutReplicationConfiguration',
  decode: async (request) => parseReplication(await readDocument(request, 'ReplicationConfiguration')),

  async run(replication, context) {
    const source = await readBucket(context)
    const targets = await destinations(replication, source, context)
    await changeBucket(context, (bucket) => {
      checkVersioned(bucket)
      if (bucket.hasObjectLock && targets.some((target) => !target.hasObjectLock)) {
        throw refused('Destination bucket must have object lock enabled, as the source bucket has it.')
      }
      return withReplication(bucket, replication)
    })
  },

  encode: done,
})

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketReplication.html */
export const deleteBucketReplication = operation({
  name: 'DeleteBucketReplication',
  match: { method: 'DELETE', scope: 'bucket', keys: ['replication'] },
  action: 's3:PutReplicationConfiguration',
  decode: () => undefined,
  run: (_, context) => changeBucket(context, (bucket) => withReplication(bucket, undefined)),
  encode: gone,
})

const refused = (message: string): Fault => new Fault('InvalidRequest', { message })

function checkVersioned({ versioning }: Bucket): void {
  if (versioning !== 'enabled') {
    throw refused("Versioning must be 'Enabled' on the bucket to apply a replication configuration")
  }
}

/** What they are is asked again by each replica. */
async function destinations({ rules }: Replication, source: Bucket, { services }: Context): Promise<readonly Bucket[]> {
  checkVersioned(source)
  return await Promise.all(
    rules.map(async ({ destination: { bucket, account } }) => {
      if (bucket === source.name) throw refused('Source and destination bucket must not be the same.')
      const target = await services.buckets.get(bucket).catch((error: unknown) => {
        throw error instanceof Fault && error.code === 'NoSuchBucket'
          ? refused('Destination bucket must exist.')
          : error
      })
      if (target.versioning !== 'enabled') throw refused('Destination bucket must have versioning enabled.')
      if (account !== undefined && account !== target.owner) {
        throw refused('Account must be the owner of the destination bucket.')
      }
      return target
    }),
  )
}
