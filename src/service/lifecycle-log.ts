import type { Bucket } from '#src/model/bucket.ts'
import type { Due } from '#src/model/lifecycle.ts'
import { lifecycleLine } from '#src/model/log-lines.ts'
import { standardLogging } from '#src/model/logging.ts'
import { formatStamp } from '#src/model/stamp.ts'
import type { Version } from '#src/model/version.ts'
import type { Transaction } from '#src/store/store.ts'
import type { Foundation } from './foundation.ts'
import { addRecord } from './log-writing.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-and-other-bucket-config.html */
const transitions: Readonly<Record<string, string>> = {
  STANDARD_IA: 'TRANSITION_SIA',
  ONEZONE_IA: 'TRANSITION_ZIA',
  INTELLIGENT_TIERING: 'TRANSITION_INT',
  GLACIER_IR: 'TRANSITION_GIR',
  DEEP_ARCHIVE: 'TRANSITION_GDA',
}

function operationOf(due: Due, bucket: Bucket): string {
  if (due.kind === 'transition') return `S3.${transitions[due.storageClass] ?? 'TRANSITION'}.OBJECT`
  return due.kind === 'expire' && bucket.versioning !== 'off' ? 'S3.CREATE.DELETEMARKER' : 'S3.EXPIRE.OBJECT'
}

/** Tells of what a rule did, in its transaction, where the bucket's requests are logged; a target that is none does not stop it. */
export async function logDue(
  foundation: Foundation,
  to: Transaction,
  bucket: Bucket,
  due: Due,
  { key, version }: { readonly key: string; readonly version: Version },
): Promise<void> {
  await logLifecycle(foundation, to, bucket, operationOf(due, bucket), {
    key,
    objectSize: version.kind === 'object' ? version.size : undefined,
    versionId: bucket.versioning === 'off' ? undefined : version.isNull ? 'null' : formatStamp(version.stamp),
  })
}

/** As `logDue`, of an upload that was given up. */
export async function logGivenUp(foundation: Foundation, to: Transaction, bucket: Bucket, key: string): Promise<void> {
  await logLifecycle(foundation, to, bucket, 'S3.DELETE.UPLOAD', { key, objectSize: undefined, versionId: undefined })
}

async function logLifecycle(
  foundation: Foundation,
  to: Transaction,
  bucket: Bucket,
  operation: string,
  about: { readonly key: string; readonly objectSize: number | undefined; readonly versionId: string | undefined },
): Promise<void> {
  const logging = standardLogging(bucket)
  if (logging === undefined) return
  const { owner, name } = bucket
  const line = lifecycleLine({ owner, bucket: name, time: foundation.world.now(), operation, ...about })
  await addRecord(foundation, to, bucket, logging, line)
}
