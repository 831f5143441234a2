import { createHash } from 'node:crypto'
import { mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3'
import { CannotDo, type Remote } from './connection.ts'
import { typeOf } from './content-types.ts'
import type { Progress } from './progress.ts'
import { encoded } from './signing.ts'

/** S3's own limits. */
const partsMost = 10_000
const partBytesLeast = 5 * 2 ** 20
const copiedBytesMost = 5 * 2 ** 30

export interface TransferOptions {
  readonly client: S3Client
  readonly progress: Progress
  /** Parts of one object that are under way at once. */
  readonly parallel: number
  readonly partBytes: number
  /** Whether an upload that was not finished is gone on with. */
  readonly resumes: boolean
}

interface Part {
  readonly number: number
  readonly from: number
  readonly to: number
}

/** Of an object of a size: as large as asked for, unless S3 had too many of them. */
export function partsOf(size: number, partBytes: number): readonly Part[] {
  const bytes = Math.max(partBytes, partBytesLeast, Math.ceil(size / partsMost))
  const count = Math.max(1, Math.ceil(size / bytes))
  return Array.from({ length: count }, (_, at) => ({
    number: at + 1,
    from: at * bytes,
    to: Math.min(size, (at + 1) * bytes),
  }))
}

/** Runs over all, so many at once; the first that fails ends it, once those under way are over. */
export async function inParallel<Item>(
  items: Iterable<Item> | AsyncIterable<Item>,
  most: number,
  run: (item: Item) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>()
  let failure: { readonly error: unknown } | undefined
  for await (const item of items) {
    const one = run(item)
      .catch((error: unknown) => {
        failure ??= { error }
      })
      .finally(() => running.delete(one))
    running.add(one)
    if (running.size >= most) await Promise.race(running)
    if (failure !== undefined) break
  }
  await Promise.all(running)
  if (failure !== undefined) throw failure.error
}

/** A file to a server. Where it goes on, what an earlier try has there already is not sent again. */
export async function upload(path: string, to: Remote, options: TransferOptions): Promise<void> {
  const { client, progress, partBytes } = options
  const { size } = await stat(path)
  const place = { Bucket: to.bucket, Key: to.key }
  const ContentType = typeOf(path)
  if (size <= Math.max(partBytes, partBytesLeast)) {
    const Body = await readFile(path)
    await client.send(new PutObjectCommand({ ...place, Body, ContentLength: Body.length, ContentType }))
    progress.add(Body.length)
    return
  }
  const parts = partsOf(size, partBytes)
  const begun = options.resumes ? await unfinished(client, to) : undefined
  const UploadId = begun ?? (await client.send(new CreateMultipartUploadCommand({ ...place, ContentType }))).UploadId
  const there = begun === undefined ? new Map<number, string>() : await partsThere(client, to, begun)
  const etags = new Map<number, string>()
  const file = await open(path)
  try {
    await inParallel(parts, options.parallel, async ({ number, from, to: end }) => {
      const bytes = Buffer.allocUnsafe(end - from)
      const { bytesRead } = await file.read(bytes, 0, bytes.length, from)
      if (bytesRead !== bytes.length) throw new CannotDo(`${path} became shorter while it was read`)
      const digest = `"${createHash('md5').update(bytes).digest('hex')}"`
      let etag = there.get(number)
      if (etag !== digest) {
        const part = { ...place, UploadId, PartNumber: number, Body: bytes, ContentLength: bytes.length }
        etag = (await client.send(new UploadPartCommand(part))).ETag ?? ''
      }
      etags.set(number, etag)
      progress.add(bytes.length)
    })
  } finally {
    await file.close()
  }
  await complete(client, to, UploadId, parts, etags)
}

async function complete(
  client: S3Client,
  { bucket, key }: Remote,
  UploadId: string | undefined,
  parts: readonly Part[],
  etags: ReadonlyMap<number, string>,
): Promise<void> {
  const Parts = parts.map(({ number }) => ({ PartNumber: number, ETag: etags.get(number) }))
  const MultipartUpload = { Parts }
  await client.send(new CompleteMultipartUploadCommand({ Bucket: bucket, Key: key, UploadId, MultipartUpload }))
}

/** The newest upload of the key that was not finished. */
async function unfinished(client: S3Client, { bucket, key }: Remote): Promise<string | undefined> {
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: key }))
  const own = Uploads.filter(({ Key }) => Key === key)
  own.sort((one, other) => (other.Initiated?.getTime() ?? 0) - (one.Initiated?.getTime() ?? 0))
  return own[0]?.UploadId
}

async function partsThere(client: S3Client, { bucket, key }: Remote, UploadId: string) {
  const found = new Map<number, string>()
  let PartNumberMarker: string | undefined
  for (;;) {
    const ask = new ListPartsCommand({ Bucket: bucket, Key: key, UploadId, PartNumberMarker })
    const { Parts = [], IsTruncated, NextPartNumberMarker } = await client.send(ask)
    for (const { PartNumber, ETag } of Parts) {
      if (PartNumber !== undefined && ETag !== undefined) found.set(PartNumber, ETag)
    }
    if (IsTruncated !== true) return found
    PartNumberMarker = NextPartNumberMarker
  }
}

/** What is on the disk of a download that is not done. */
interface Begun {
  readonly etag: string
  readonly partBytes: number
  readonly done: readonly number[]
}

async function readBegun(path: string): Promise<Begun | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Begun
  } catch {
    return undefined
  }
}

/** An object to a file, which is there under its name only once it is whole. An earlier try is gone on with. */
export async function download(from: Remote, path: string, options: TransferOptions): Promise<void> {
  const { client, progress, partBytes, parallel } = options
  const place = { Bucket: from.bucket, Key: from.key }
  const { ContentLength: size = 0, ETag = '' } = await client.send(new HeadObjectCommand(place))
  await mkdir(dirname(path), { recursive: true })
  const [partial, state] = [`${path}.meridian-partial`, `${path}.meridian-state`]
  const begun = await readBegun(state)
  const goesOn = begun?.etag === ETag && begun.partBytes === partBytes && (await stat(partial).catch(() => undefined))
  const done = new Set(goesOn ? begun?.done : [])
  const file = await open(partial, goesOn ? 'r+' : 'w')
  try {
    await inParallel(size === 0 ? [] : partsOf(size, partBytes), parallel, async ({ number, from: start, to }) => {
      if (!done.has(number)) {
        const Range = `bytes=${start}-${to - 1}`
        const { Body } = await client.send(new GetObjectCommand({ ...place, Range, IfMatch: ETag }))
        let at = start
        for await (const chunk of Body as unknown as AsyncIterable<Uint8Array>) {
          await file.write(chunk, 0, chunk.length, at)
          at += chunk.length
          progress.add(chunk.length)
        }
        if (at !== to) throw new CannotDo(`the server gave ${at - start} bytes of ${to - start}`)
        done.add(number)
        await writeFile(state, JSON.stringify({ etag: ETag, partBytes, done: [...done] } satisfies Begun))
      } else progress.add(to - start)
    })
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(partial, path)
  await rm(state, { force: true })
}

/** From one place on a server to another on it: no bytes come here. */
export async function copyThere(from: Remote, to: Remote, size: number, options: TransferOptions): Promise<void> {
  const { client, progress, parallel } = options
  const CopySource = `${from.bucket}/${from.key.split('/').map(encoded).join('/')}`
  const place = { Bucket: to.bucket, Key: to.key }
  if (size <= copiedBytesMost) {
    await client.send(new CopyObjectCommand({ ...place, CopySource }))
    progress.add(size)
    return
  }
  const { ETag, ContentType, Metadata } = await client.send(
    new HeadObjectCommand({ Bucket: from.bucket, Key: from.key }),
  )
  const { UploadId } = await client.send(new CreateMultipartUploadCommand({ ...place, ContentType, Metadata }))
  const parts = partsOf(size, 512 * 2 ** 20)
  const etags = new Map<number, string>()
  try {
    await inParallel(parts, parallel, async ({ number, from: start, to: end }) => {
      const range = { CopySource, CopySourceRange: `bytes=${start}-${end - 1}`, CopySourceIfMatch: ETag }
      const part = { ...place, ...range, UploadId, PartNumber: number }
      const { CopyPartResult } = await client.send(new UploadPartCopyCommand(part))
      etags.set(number, CopyPartResult?.ETag ?? '')
      progress.add(end - start)
    })
    await complete(client, to, UploadId, parts, etags)
  } catch (error) {
    await client.send(new AbortMultipartUploadCommand({ ...place, UploadId })).catch(() => undefined)
    throw error
  }
}
