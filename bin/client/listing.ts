import { DeleteObjectsCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3'
import { CannotDo, type Remote } from './connection.ts'

export interface ListedObject {
  readonly key: string
  readonly size: number
  readonly etag: string
  readonly modified: Date
}

export type Listed = ListedObject | { readonly prefix: string }

/** All under a prefix, in order; with a delimiter, what lies deeper is one prefix. */
export async function* listObjects(client: S3Client, { bucket, key }: Remote, delimiter = ''): AsyncGenerator<Listed> {
  let ContinuationToken: string | undefined
  do {
    const ask = new ListObjectsV2Command({
      Bucket: bucket,
      Prefix: key,
      ContinuationToken,
      ...(delimiter !== '' && { Delimiter: delimiter }),
    })
    const { Contents = [], CommonPrefixes = [], NextContinuationToken } = await client.send(ask)
    for (const { Prefix = '' } of CommonPrefixes) yield { prefix: Prefix }
    for (const { Key = '', Size = 0, ETag = '', LastModified } of Contents) {
      yield { key: Key, size: Size, etag: ETag.replaceAll('"', ''), modified: LastModified ?? new Date(0) }
    }
    ContinuationToken = NextContinuationToken
  } while (ContinuationToken !== undefined)
}

/** S3's own limit of a request. */
const deletedAtOnce = 1_000

/** Deletes all under a prefix; gives how many. */
export async function removeAll(client: S3Client, from: Remote, gone: (key: string) => void): Promise<number> {
  let waiting: string[] = []
  let count = 0
  const flush = async (): Promise<void> => {
    if (waiting.length === 0) return
    const Objects = waiting.map((Key) => ({ Key }))
    const { Errors = [] } = await client.send(
      new DeleteObjectsCommand({ Bucket: from.bucket, Delete: { Objects, Quiet: true } }),
    )
    const [first] = Errors
    if (first !== undefined)
      throw new CannotDo(`${first.Key} could not be deleted: ${first.Code} ${first.Message ?? ''}`)
    for (const key of waiting) gone(key)
    count += waiting.length
    waiting = []
  }
  for await (const each of listObjects(client, from)) {
    if ('key' in each) waiting.push(each.key)
    if (waiting.length === deletedAtOnce) await flush()
  }
  await flush()
  return count
}
