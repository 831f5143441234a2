import { randomBytes } from 'node:crypto'
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
  type S3ServiceException,
} from '@aws-sdk/client-s3'

/** What stands under a key, as a client sees it; undefined: nothing. */
export type Seen = string | undefined

export const newKey = (word: string): string => `${word}-${randomBytes(8).toString('hex')}`

/** Whether the store said no, as against saying nothing, or that it does not know. */
export function isRefusal(error: unknown): boolean {
  const status = (error as Partial<S3ServiceException>).$metadata?.httpStatusCode
  return status !== undefined && status >= 400 && status < 500
}

/** Requests of one region's client on one bucket. */
export class Store {
  readonly region: string
  readonly #client: S3Client
  readonly #bucket: string
  readonly #isConsistent: boolean

  constructor(region: string, client: S3Client, bucket: string, isConsistent = false) {
    this.region = region
    this.#client = client
    this.#bucket = bucket
    this.#isConsistent = isConsistent
  }

  async put(key: string, body: string, condition: { IfNoneMatch?: string; IfMatch?: string } = {}): Promise<string> {
    const command = new PutObjectCommand({ Bucket: this.#bucket, Key: key, Body: body, ...condition })
    this.#mark(command)
    const { ETag } = await this.#client.send(command)
    return ETag ?? ''
  }

  async delete(key: string): Promise<void> {
    const command = new DeleteObjectCommand({ Bucket: this.#bucket, Key: key })
    this.#mark(command)
    await this.#client.send(command)
  }

  async get(key: string): Promise<Seen> {
    return (await this.getTagged(key))?.body
  }

  async getTagged(key: string): Promise<{ readonly body: string; readonly etag: string } | undefined> {
    const command = new GetObjectCommand({ Bucket: this.#bucket, Key: key })
    this.#mark(command)
    return await absent(async () => {
      const { Body, ETag } = await this.#client.send(command)
      return { body: (await Body?.transformToString()) ?? '', etag: ETag ?? '' }
    })
  }

  async head(key: string): Promise<Seen> {
    const command = new HeadObjectCommand({ Bucket: this.#bucket, Key: key })
    this.#mark(command)
    return await absent(async () => (await this.#client.send(command)).ETag)
  }

  #mark(command: { readonly middlewareStack: PutObjectCommand['middlewareStack'] }): void {
    if (!this.#isConsistent) return
    command.middlewareStack.add(
      (next) => async (parts) => {
        const request = parts.request as { headers: Record<string, string> }
        request.headers['x-tigris-consistent'] = 'true'
        return await next(parts)
      },
      { step: 'build' },
    )
  }
}

async function absent<T>(request: () => Promise<T>): Promise<T | undefined> {
  try {
    return await request()
  } catch (error) {
    if ((error as Partial<S3ServiceException>).$metadata?.httpStatusCode === 404) return undefined
    throw error
  }
}
