import {
  GetObjectCommand,
  type GetObjectCommandOutput,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  ListObjectsV2Command,
  type S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3'
import type { ContentHeaders } from '#src/model/version.ts'
import type { CloudSource, Described, SourceObject, SourcePage, SourceQuery, SourceRead } from './endpoint.ts'
import { openClient, S3Endpoint, type S3EndpointOptions } from './s3-endpoint.ts'

export interface S3SourceOptions extends Omit<S3EndpointOptions, 'storageClass' | 'makesBuckets'> {
  readonly bucket: string
}

/** A bucket of another store that speaks S3. */
export class S3Source implements CloudSource {
  readonly #bucket: string
  readonly #client: S3Client
  readonly #endpoint: S3Endpoint

  constructor({ bucket, ...options }: S3SourceOptions) {
    this.#bucket = bucket
    this.#client = openClient(options)
    this.#endpoint = new S3Endpoint({ ...options, makesBuckets: false }, this.#client)
  }

  async head(key: string, signal: AbortSignal): Promise<SourceObject | undefined> {
    const command = new HeadObjectCommand({ Bucket: this.#bucket, Key: key })
    const told = await there(this.#client.send(command, { abortSignal: signal }))
    return told && objectOf(told)
  }

  async get(key: string, signal: AbortSignal): Promise<SourceRead | undefined> {
    const command = new GetObjectCommand({ Bucket: this.#bucket, Key: key })
    const told = await there(this.#client.send(command, { abortSignal: signal }))
    return told && { object: objectOf(told), bytes: bytesOf(told) }
  }

  async range(
    key: string,
    { from, to, etag }: { readonly from: number; readonly to: number; readonly etag: string },
    signal: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>> {
    const asked = { Bucket: this.#bucket, Key: key, Range: `bytes=${from}-${to - 1}`, IfMatch: `"${etag}"` }
    const told = await this.#client.send(new GetObjectCommand(asked), { abortSignal: signal })
    if (told.ContentLength !== to - from) throw new Error('the other store gives another range than it was asked for')
    return bytesOf(told)
  }

  async list({ prefix, delimiter, after, limit }: SourceQuery, signal: AbortSignal): Promise<SourcePage> {
    const command = new ListObjectsV2Command({
      Bucket: this.#bucket,
      MaxKeys: limit,
      ...(prefix !== '' && { Prefix: prefix }),
      ...(delimiter !== '' && { Delimiter: delimiter }),
      ...(after !== undefined && { StartAfter: after }),
    })
    const {
      Contents = [],
      CommonPrefixes = [],
      IsTruncated,
    } = await this.#client.send(command, {
      abortSignal: signal,
    })
    return {
      items: Contents.map(({ Key = '', Size = 0, ETag = '', LastModified }) => ({
        key: Key,
        size: Size,
        etag: unquoted(ETag),
        modified: LastModified?.getTime() ?? 0,
      })),
      prefixes: CommonPrefixes.map(({ Prefix = '' }) => Prefix),
      isTruncated: IsTruncated === true,
    }
  }

  async write(key: string, bytes: AsyncIterable<Uint8Array>, described: Described, signal: AbortSignal): Promise<void> {
    await this.#endpoint.write({ bucket: this.#bucket, key }, bytes, described, signal)
  }

  async delete(key: string, signal: AbortSignal): Promise<void> {
    await this.#endpoint.delete({ bucket: this.#bucket, key }, signal)
  }

  close(): void {
    this.#client.destroy()
  }
}

/** A bucket that is not there is a mistake; a key that is not there is an answer. */
async function there<Told>(asked: Promise<Told>): Promise<Told | undefined> {
  try {
    return await asked
  } catch (error) {
    const isMissing = error instanceof S3ServiceException && (error.name === 'NoSuchKey' || error.name === 'NotFound')
    if (!isMissing) throw error
    return undefined
  }
}

function bytesOf({ Body }: GetObjectCommandOutput): AsyncIterable<Uint8Array> {
  if (Body === undefined) throw new Error('an answer without a body')
  return Body as unknown as AsyncIterable<Uint8Array>
}

const unquoted = (etag: string): string => etag.replace(/^"|"$/g, '')

function objectOf(told: GetObjectCommandOutput | HeadObjectCommandOutput): SourceObject {
  const { ContentLength, ETag = '', LastModified, Metadata = {}, ServerSideEncryption, SSECustomerAlgorithm } = told
  if (ContentLength === undefined) throw new Error('the other store does not say how large an object is')
  const etag = unquoted(ETag)
  const isPlain = SSECustomerAlgorithm === undefined && !(ServerSideEncryption ?? '').startsWith('aws:')
  return {
    size: ContentLength,
    etag,
    hasMd5: isPlain && /^[0-9a-f]{32}$/.test(etag),
    modified: LastModified?.getTime() ?? 0,
    headers: headersOf(told),
    metadata: new Map(Object.entries(Metadata)),
  }
}

function headersOf(told: GetObjectCommandOutput | HeadObjectCommandOutput): ContentHeaders {
  const { ContentType, CacheControl, ContentDisposition, ContentEncoding, ContentLanguage, ExpiresString } = told
  return {
    ...(ContentType !== undefined && { contentType: ContentType }),
    ...(CacheControl !== undefined && { cacheControl: CacheControl }),
    ...(ContentDisposition !== undefined && { contentDisposition: ContentDisposition }),
    ...(ContentEncoding !== undefined && { contentEncoding: ContentEncoding }),
    ...(ContentLanguage !== undefined && { contentLanguage: ContentLanguage }),
    ...(ExpiresString !== undefined && { expires: ExpiresString }),
  }
}
