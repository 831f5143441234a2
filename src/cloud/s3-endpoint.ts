import type { LookupFunction } from 'node:net'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
  type StorageClass,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import type { ContentHeaders } from '#src/model/version.ts'
import type { CloudEndpoint, CloudName, Described } from './endpoint.ts'

export interface S3EndpointOptions {
  readonly endpoint: string
  readonly region: string
  readonly accessKey: string
  readonly secretKey: string
  readonly forcePathStyle: boolean
  /** That its objects get there; undefined: as its bucket has it. */
  readonly storageClass?: string
  /** Whether a bucket that is not there is made. */
  readonly makesBuckets?: boolean
  /** How names are resolved; default: as the system does. */
  readonly lookup?: LookupFunction
}

/** A part is held whole while it is sent, as what signs it wants to know it; S3 takes 10,000 of them. */
const partBytesMin = 16 * 2 ** 20
const partsMax = 10_000
const connectMilliseconds = 5_000
/** Without a byte from there. */
const silentMilliseconds = 60_000

export const openClient = (options: S3EndpointOptions): S3Client =>
  new S3Client({
    endpoint: options.endpoint,
    region: options.region,
    forcePathStyle: options.forcePathStyle,
    credentials: { accessKeyId: options.accessKey, secretAccessKey: options.secretKey },
    maxAttempts: 1,
    // Not every store knows the newer checksums; what was written is read again and compared in any case.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: connectMilliseconds,
      socketTimeout: silentMilliseconds,
      ...(options.lookup !== undefined && {
        httpAgent: { keepAlive: true, lookup: options.lookup },
        httpsAgent: { keepAlive: true, lookup: options.lookup },
      }),
    },
  })

/** Another store that speaks S3. Each call asks once: who calls tries again in its own time. */
export class S3Endpoint implements CloudEndpoint {
  readonly #client: S3Client
  readonly #storageClass: string | undefined
  readonly #makesBuckets: boolean

  constructor(options: S3EndpointOptions, client = openClient(options)) {
    this.#storageClass = options.storageClass
    this.#makesBuckets = options.makesBuckets ?? true
    this.#client = client
  }

  async write(
    name: CloudName,
    bytes: AsyncIterable<Uint8Array>,
    described: Described,
    signal: AbortSignal,
  ): Promise<void> {
    const partBytes = Math.max(partBytesMin, Math.ceil(described.size / partsMax))
    const parts = cut(bytes, partBytes)
    const first = await parts.next()
    const start = first.done === true ? new Uint8Array(0) : first.value
    if (described.size > partBytes) return await this.#writeParts(name, start, parts, described, signal)
    const input = { ...this.#asked(name, described), Body: start, ContentLength: start.length }
    await this.#withBucket(name.bucket, signal, () =>
      this.#client.send(new PutObjectCommand(input), { abortSignal: signal }),
    )
  }

  #asked({ bucket, key }: CloudName, { contentType, headers, metadata }: Described) {
    return {
      Bucket: bucket,
      Key: key,
      ...(this.#storageClass !== undefined && { StorageClass: this.#storageClass as StorageClass }),
      ...(contentType !== undefined && { ContentType: contentType }),
      ...(headers !== undefined && sentHeaders(headers)),
      Metadata: Object.fromEntries(metadata),
    }
  }

  async #writeParts(
    name: CloudName,
    first: Uint8Array,
    rest: AsyncGenerator<Uint8Array>,
    described: Described,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#withBucket(name.bucket, signal, () => this.#abortUploads(name, signal))
    const created = await this.#client.send(new CreateMultipartUploadCommand(this.#asked(name, described)), {
      abortSignal: signal,
    })
    const upload = { Bucket: name.bucket, Key: name.key, UploadId: created.UploadId }
    try {
      const sent = [await this.#sendPart(upload, 1, first, signal)]
      for await (const part of rest) sent.push(await this.#sendPart(upload, sent.length + 1, part, signal))
      const complete = new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts: sent } })
      await this.#client.send(complete, { abortSignal: signal })
    } catch (error) {
      await this.#client.send(new AbortMultipartUploadCommand(upload)).catch(() => undefined)
      throw error
    } finally {
      await rest.return(undefined)
    }
  }

  async #sendPart(
    upload: { readonly Bucket: string; readonly Key: string; readonly UploadId: string | undefined },
    number: number,
    bytes: Uint8Array,
    signal: AbortSignal,
  ) {
    const input = { ...upload, PartNumber: number, Body: bytes, ContentLength: bytes.length }
    const { ETag } = await this.#client.send(new UploadPartCommand(input), { abortSignal: signal })
    return { PartNumber: number, ETag }
  }

  /** Those that an earlier try left behind. */
  async #abortUploads({ bucket, key }: CloudName, signal: AbortSignal): Promise<void> {
    const list = new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: key })
    const { Uploads = [] } = await this.#client.send(list, { abortSignal: signal })
    for (const { Key, UploadId } of Uploads) {
      if (Key !== key) continue
      await this.#client.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key, UploadId }), {
        abortSignal: signal,
      })
    }
  }

  async #withBucket(bucket: string, signal: AbortSignal, send: () => Promise<unknown>): Promise<void> {
    try {
      await send()
    } catch (error) {
      if (!this.#makesBuckets || !isMissing(error, 'NoSuchBucket')) throw error
      await this.#client.send(new CreateBucketCommand({ Bucket: bucket }), { abortSignal: signal }).catch((refused) => {
        // Somebody else was faster.
        if (!isMissing(refused, 'BucketAlreadyOwnedByYou')) throw refused
      })
      await send()
    }
  }

  async read({ bucket, key }: CloudName, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const { Body } = await this.#client.send(new GetObjectCommand({ Bucket: bucket, Key: key }), {
      abortSignal: signal,
    })
    if (Body === undefined) throw new Error('an answer without a body')
    return Body as unknown as AsyncIterable<Uint8Array>
  }

  async delete({ bucket, key }: CloudName, signal: AbortSignal): Promise<void> {
    try {
      await this.#client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }), { abortSignal: signal })
    } catch (error) {
      if (!isMissing(error, 'NoSuchBucket') && !isMissing(error, 'NoSuchKey')) throw error
    }
  }

  close(): void {
    this.#client.destroy()
  }
}

function sentHeaders({
  contentType,
  contentEncoding,
  contentLanguage,
  contentDisposition,
  cacheControl,
}: ContentHeaders) {
  return {
    ...(contentType !== undefined && { ContentType: contentType }),
    ...(contentEncoding !== undefined && { ContentEncoding: contentEncoding }),
    ...(contentLanguage !== undefined && { ContentLanguage: contentLanguage }),
    ...(contentDisposition !== undefined && { ContentDisposition: contentDisposition }),
    ...(cacheControl !== undefined && { CacheControl: cacheControl }),
  }
}

export const isMissing = (error: unknown, name: string): boolean =>
  error instanceof S3ServiceException && error.name === name

/** Slices of any size as pieces of one size, but the last. */
async function* cut(bytes: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  let held: Buffer[] = []
  let length = 0
  for await (const slice of bytes) {
    let rest = slice
    while (length + rest.length >= size) {
      const taken = size - length
      yield Buffer.concat([...held, rest.subarray(0, taken)])
      rest = rest.subarray(taken)
      held = []
      length = 0
    }
    // What reads give out is lent.
    if (rest.length > 0) held.push(Buffer.from(rest))
    length += rest.length
  }
  if (length > 0) yield Buffer.concat(held)
}

/** What went wrong, in words that hold no secret: of an answer its status and code, otherwise what the system calls it. */
export function whyFailed(error: unknown): string {
  if (error instanceof S3ServiceException) return `${error.$metadata.httpStatusCode ?? 'no status'} ${error.name}`
  if (!(error instanceof Error)) return 'unknown'
  const code = 'code' in error && typeof error.code === 'string' ? `${error.code} ` : ''
  return `${code}${error.name}: ${error.message}`.slice(0, 300)
}
