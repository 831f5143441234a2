import {
  CreateBucketCommand,
  GetBucketAccelerateConfigurationCommand,
  GetBucketVersioningCommand,
  HeadBucketCommand,
  PutBucketAccelerateConfigurationCommand,
  PutBucketVersioningCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { settles } from './check.ts'
import type { Cluster } from './cluster.ts'

/** For all regions to have heard of a bucket and its settings, in milliseconds. */
const heardMost = 60_000

interface Wish {
  readonly isVersioned?: boolean
  /** Every region is to hold what is written. */
  readonly isEager?: boolean
}

/** Whether a region has the bucket as it was asked for. */
async function isKnown(client: S3Client, bucket: string, { isVersioned, isEager }: Wish): Promise<boolean> {
  const named = { Bucket: bucket }
  try {
    await client.send(new HeadBucketCommand(named))
    const versioning = isVersioned === true ? await client.send(new GetBucketVersioningCommand(named)) : undefined
    const accelerate =
      isEager === true ? await client.send(new GetBucketAccelerateConfigurationCommand(named)) : undefined
    return (versioning?.Status ?? 'Enabled') === 'Enabled' && (accelerate?.Status ?? 'Enabled') === 'Enabled'
  } catch {
    return false
  }
}

/** A bucket that is made through one region, its home, and is known in all: the answer may come before on a busy machine. */
export async function makeBucket(cluster: Cluster, home: string, bucket: string, wish: Wish = {}): Promise<void> {
  const client = cluster.client(home)
  await client.send(new CreateBucketCommand({ Bucket: bucket }))
  const versioning = { Bucket: bucket, VersioningConfiguration: { Status: 'Enabled' } } as const
  if (wish.isVersioned === true) await client.send(new PutBucketVersioningCommand(versioning))
  const accelerate = { Bucket: bucket, AccelerateConfiguration: { Status: 'Enabled' } } as const
  if (wish.isEager === true) await client.send(new PutBucketAccelerateConfigurationCommand(accelerate))
  for (const code of cluster.codes) {
    const { failure } = await settles(
      () => isKnown(cluster.client(code), bucket, wish),
      (isThere) => isThere,
      { within: heardMost, watched: 0 },
    )
    if (failure !== undefined) throw new Error(`${code} does not hear of the bucket ${bucket}`)
  }
}
