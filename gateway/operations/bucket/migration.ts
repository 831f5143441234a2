import { type Context, type Operation, operation, type S3Response } from '#gateway/operations/operation.ts'
import type { MigrationProgress } from '#src/model/shadow.ts'
import type { Shadows } from '#src/service/shadow-services.ts'

const isoOf = (time: number): string => new Date(time).toISOString()

function encode({ migration, imported }: MigrationProgress): S3Response {
  const told =
    migration === undefined
      ? { state: 'none' }
      : {
          state: migration.state,
          started: isoOf(migration.started),
          ...(migration.ended !== undefined && { ended: isoOf(migration.ended) }),
          ...(migration.after !== undefined && { after: migration.after }),
          listed: migration.listed,
          known: migration.known,
          gone: migration.gone,
          failed: migration.failed,
          failures: migration.failures,
        }
  return {
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...told, imported_objects: imported.objects, imported_bytes: imported.bytes }),
  }
}

type Asking = Exclude<keyof Shadows, 'configure' | 'schedule'>

const asking = (name: string, method: 'GET' | 'POST' | 'DELETE', action: string, ask: Asking): Operation =>
  operation({
    name,
    match: { method, scope: 'bucket', keys: ['migration'] },
    // Where the bucket's objects are, there is the job.
    site: 'cells',
    action,
    decode: () => undefined,
    run: (_, { services, guard, request }: Context) =>
      services.shadows[ask](request.bucket, (bucket) => guard(undefined, bucket)),
    encode,
  })

/** Ours: the copying of all that a bucket's shadow has; see docs/shadow-buckets.md. */
export const bucketMigration: readonly Operation[] = [
  asking('StartBucketMigration', 'POST', 's3:PutBucketInformation', 'migrate'),
  asking('GetBucketMigration', 'GET', 's3:GetBucketInformation', 'progress'),
  asking('CancelBucketMigration', 'DELETE', 's3:PutBucketInformation', 'cancel'),
]
