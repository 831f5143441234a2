import { DeleteBucketCommand, DeleteObjectsCommand, ListObjectVersionsCommand, S3Client } from '@aws-sdk/client-s3'
import { same } from './day.ts'
import type { Site } from './server.ts'

export function openSdk({ endpoint, region, accessKey, secretKey }: Site): S3Client {
  return new S3Client({
    endpoint,
    region,
    credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
    forcePathStyle: true,
  })
}

/** Deletes every version and delete marker of a bucket, and the bucket; gives how many there were. */
export async function destroyBucket(s3: S3Client, bucket: string): Promise<number> {
  for (let gone = 0; ; ) {
    const page = await s3.send(new ListObjectVersionsCommand({ Bucket: bucket }))
    const all = [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])]
    if (all.length === 0) {
      await s3.send(new DeleteBucketCommand({ Bucket: bucket }))
      return gone
    }
    const Objects = all.map(({ Key, VersionId }) => ({ Key, VersionId }))
    const { Errors } = await s3.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects } }))
    same(Errors ?? [], [], 'the errors of DeleteObjects')
    gone += all.length
  }
}
