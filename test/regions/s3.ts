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

const bodyMilliseconds = 30_000

export const newKey = (word: string): string => `${word}-${randomBytes(8).toString('hex')}`

/** A body that is too large to lie beside its record. */
export const padded = (body: string): string => body.padEnd(40_000, '.')

const statusOf = (error: unknown): number | undefined =>
  (error as Partial<S3ServiceException>).$metadata?.httpStatusCode

/** Whether the store said no, as against saying nothing, or that it does not know. */
export function isRefusal(error: unknown): boolean {
  const status = statusOf(error)
  // Whoever is told so sets the clock of its signatures right, and asks again.
  if ((error as Partial<S3ServiceException>).name === 'RequestTimeTooSkewed') return false
  return status !== undefined && status >= 400 && status < 500
}

/** Whether the connection broke before there was any answer. */
export function isBroken(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown }
  return statusOf(error) === undefined && (code === 'ECONNRESET' || code === 'EPIPE')
}

/** Whether it said that a condition did not hold: another value stands, or none. */
export const isConditionFailed = (error: unknown): boolean => statusOf(error) === 412 || statusOf(error) === 404

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

  /** Writes if this very ETag still stands; says whether it did. */
  async replace(key: string, etag: string, body: string): Promise<boolean> {
    try {
      await this.put(key, body, { IfMatch: etag })
      return true
    } catch (error) {
      if (isConditionFailed(error)) return false
      throw error
    }
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
      const body = (await bounded(Body?.transformToString() ?? Promise.resolve(''))) ?? ''
      return { body, etag: ETag ?? '' }
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

/** The client's own limit ends where the body begins. */
async function bounded<T>(reading: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error('the body does not come to its end')), bodyMilliseconds)
  return await Promise.race([reading, promise]).finally(() => clearTimeout(timer))
}

async function absent<T>(request: () => Promise<T>): Promise<T | undefined> {
  try {
    return await request()
  } catch (error) {
    if (statusOf(error) === 404) return undefined
    throw error
  }
}
