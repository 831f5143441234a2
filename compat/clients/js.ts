import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectTaggingCommand,
  GetBucketTaggingCommand,
  GetBucketVersioningCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectVersionsCommand,
  PutBucketTaggingCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  paginateListObjectsV2,
  type S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { type Client, check, checkPresigned, type Day, inside, plain, same } from '#compat/day.ts'
import { compareFiles, compareTrees, readPiece, size } from '#compat/files.ts'
import { destroyBucket, openSdk } from '#compat/sdk.ts'

export const js: Client = {
  name: 'js',
  find: async () => ({
    version: async () => {
      const { default: manifest } = await import('@aws-sdk/client-s3/package.json', { with: { type: 'json' } })
      return `@aws-sdk/client-s3 ${manifest.version}`
    },
    work: (day) => new JavaScriptDay(day).work(),
  }),
}

const bucket = 'js-day'
const other = 'js-day-other'
const atOnce = 16
const partSize = 16 * 1024 * 1024

class JavaScriptDay {
  readonly #day: Day
  readonly #s3: S3Client

  constructor(day: Day) {
    this.#day = day
    this.#s3 = openSdk(day.site)
  }

  async work(): Promise<void> {
    try {
      await this.#buckets()
      await this.#sync()
      await this.#bigFile()
      await this.#objects()
      await this.#presigned()
      await this.#versions()
      await this.#tags()
      await this.#cleanUp()
    } finally {
      this.#s3.destroy()
    }
  }

  async #refused(name: string, body: Promise<unknown>): Promise<void> {
    const error = await body.then(
      () => undefined,
      (reason: unknown) => reason,
    )
    if (!(error instanceof S3ServiceException)) throw error ?? new Error(`should have been refused with ${name}`)
    check(
      error.name === name || String(error.$metadata.httpStatusCode) === name,
      `refused with ${error.name}, not ${name}`,
    )
  }

  async #read(key: string, extra: { VersionId?: string; Range?: string } = {}, from = bucket): Promise<Buffer> {
    const got = await this.#s3.send(new GetObjectCommand({ Bucket: from, Key: key, ...extra }))
    return Buffer.from((await got.Body?.transformToByteArray()) ?? [])
  }

  async #save(key: string, path: string, from = bucket): Promise<void> {
    const got = await this.#s3.send(new GetObjectCommand({ Bucket: from, Key: key }))
    await mkdir(dirname(path), { recursive: true })
    await pipeline(got.Body as Readable, createWriteStream(path))
  }

  async #buckets(): Promise<void> {
    await this.#day.journal.step('make, look at and list buckets', async () => {
      for (const name of [bucket, other]) await this.#s3.send(new CreateBucketCommand({ Bucket: name }))
      await this.#s3.send(new HeadBucketCommand({ Bucket: bucket }))
      await this.#refused('404', this.#s3.send(new HeadBucketCommand({ Bucket: 'js-day-that-never-was' })))
      const { Buckets = [] } = await this.#s3.send(new ListBucketsCommand({}))
      same(
        Buckets.map((each) => each.Name),
        [bucket, other],
        'the list of buckets',
      )
      return '2'
    })
  }

  async #keys(prefix: string): Promise<string[]> {
    const keys: string[] = []
    for await (const page of paginateListObjectsV2({ client: this.#s3 }, { Bucket: bucket, Prefix: prefix })) {
      for (const { Key } of page.Contents ?? []) if (Key !== undefined) keys.push(Key)
    }
    return keys
  }

  async #sync(): Promise<void> {
    const { journal, tree } = this.#day
    const down = inside(this.#day, 'down')
    await journal.step(`upload a tree as streams, ${atOnce} at once`, async () => {
      await inParallel(tree.files, async (name) => {
        const Body = createReadStream(join(tree.directory, name))
        const upload = new Upload({ client: this.#s3, params: { Bucket: bucket, Key: `tree/${name}`, Body } })
        await upload.done()
      })
      return `${tree.files.length} files, ${size(tree.bytes)}`
    })
    await journal.step('list it, download it and compare', async () => {
      const keys = await this.#keys('tree/')
      same(keys.length, tree.files.length, 'the number of keys')
      await inParallel(keys, (key) => this.#save(key, join(down, key.slice('tree/'.length))))
      return compareTrees(tree.directory, down)
    })
  }

  async #bigFile(): Promise<void> {
    const { journal, big, bigBytes } = this.#day
    await journal.step('upload a big file in parts', async () => {
      const Body = createReadStream(big, { highWaterMark: 1024 * 1024 })
      const upload = new Upload({
        client: this.#s3,
        params: { Bucket: bucket, Key: 'big', Body, ChecksumAlgorithm: 'CRC32' },
        partSize,
        queueSize: 4,
      })
      await upload.done()
      const attributes = new GetObjectAttributesCommand({
        Bucket: bucket,
        Key: 'big',
        ObjectAttributes: ['ObjectSize', 'ObjectParts', 'Checksum', 'ETag'],
      })
      const got = await this.#s3.send(attributes)
      same(got.ObjectSize, bigBytes, 'its size')
      same(got.ObjectParts?.TotalPartsCount, Math.ceil(bigBytes / partSize), 'the number of its parts')
      check(got.Checksum?.ChecksumCRC32 !== undefined, 'its checksum is missing')
      return `${size(bigBytes)}, ${got.ObjectParts?.TotalPartsCount} parts`
    })
    await journal.step('read a range across parts', async () => {
      const from = partSize - 1000
      const piece = await this.#read('big', { Range: `bytes=${from}-${from + 1999}` })
      check(piece.equals(await readPiece(big, from, 2000)), 'the range holds other bytes')
      return '2000 bytes'
    })
    await journal.step('download it as a stream and compare', async () => {
      const file = inside(this.#day, 'big-again')
      await this.#save('big', file)
      const compared = await compareFiles(big, file)
      await rm(file)
      return compared
    })
  }

  async #objects(): Promise<void> {
    const { journal } = this.#day
    const at = { Bucket: bucket, Key: 'notes/a note + ünïcödé?.txt' }
    await journal.step('metadata, copy, conditions', async () => {
      const put = await this.#s3.send(
        new PutObjectCommand({ ...at, Body: 'a note\n', ContentType: 'text/plain', Metadata: { author: 'js' } }),
      )
      const head = await this.#s3.send(new HeadObjectCommand(at))
      same([head.ContentType, head.Metadata, head.ETag], ['text/plain', { author: 'js' }, put.ETag], 'HeadObject')
      const CopySource = encodeURIComponent(`${bucket}/${at.Key}`)
      await this.#s3.send(new CopyObjectCommand({ Bucket: other, Key: at.Key, CopySource }))
      same((await this.#read(at.Key, {}, other)).toString(), 'a note\n', 'the copy')
      const existing = new PutObjectCommand({ ...at, Body: 'x', IfNoneMatch: '*' })
      await this.#refused('PreconditionFailed', this.#s3.send(existing))
      const changed = new PutObjectCommand({ ...at, Body: 'x', IfMatch: '"0123"' })
      await this.#refused('PreconditionFailed', this.#s3.send(changed))
      await this.#refused('304', this.#s3.send(new GetObjectCommand({ ...at, IfNoneMatch: put.ETag })))
      await this.#refused('NoSuchKey', this.#s3.send(new GetObjectCommand({ ...at, Key: 'never' })))
      return ''
    })
  }

  async #presigned(): Promise<void> {
    await this.#day.journal.step('presigned PUT and GET', async () => {
      const at = { Bucket: bucket, Key: 'presigned file.bin' }
      const content = Buffer.alloc(100_000, 'presigned')
      const put = await getSignedUrl(this.#s3, new PutObjectCommand(at), { expiresIn: 600 })
      const answer = await plain(put, { method: 'PUT', body: content })
      same(answer.status, 200, `the status of the presigned PUT (${answer.body.toString().slice(0, 300)})`)
      return checkPresigned(await getSignedUrl(this.#s3, new GetObjectCommand(at), { expiresIn: 600 }), content)
    })
  }

  async #versions(): Promise<void> {
    await this.#day.journal.step('versions: overwrite, delete, restore', async () => {
      const at = { Bucket: bucket, Key: 'kept.txt' }
      const VersioningConfiguration = { Status: 'Enabled' } as const
      await this.#s3.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration }))
      same((await this.#s3.send(new GetBucketVersioningCommand({ Bucket: bucket }))).Status, 'Enabled', 'the status')
      const first = await this.#s3.send(new PutObjectCommand({ ...at, Body: 'first' }))
      const second = await this.#s3.send(new PutObjectCommand({ ...at, Body: 'second' }))
      const marker = await this.#s3.send(new DeleteObjectCommand(at))
      same(marker.DeleteMarker, true, 'DeleteMarker')
      await this.#refused('NoSuchKey', this.#read(at.Key))
      const listed = await this.#s3.send(new ListObjectVersionsCommand({ Bucket: bucket, Prefix: at.Key }))
      const versions = listed.Versions?.map((each) => each.VersionId)
      same(versions, [second.VersionId, first.VersionId], 'the versions, newest first')
      check(first.VersionId !== undefined && marker.VersionId !== undefined, 'there are no version ids')
      same((await this.#read(at.Key, { VersionId: first.VersionId })).toString(), 'first', 'the first version')
      await this.#s3.send(new DeleteObjectCommand({ ...at, VersionId: marker.VersionId }))
      same((await this.#read(at.Key)).toString(), 'second', 'what stands once the marker is gone')
      return ''
    })
  }

  async #tags(): Promise<void> {
    await this.#day.journal.step('tags of an object and of a bucket', async () => {
      const at = { Bucket: bucket, Key: 'kept.txt' }
      const Tagging = { TagSet: [{ Key: 'project', Value: 'meridian + co @ 1/2' }] }
      await this.#s3.send(new PutObjectTaggingCommand({ ...at, Tagging }))
      same((await this.#s3.send(new GetObjectTaggingCommand(at))).TagSet, Tagging.TagSet, 'the tags of the object')
      await this.#s3.send(new DeleteObjectTaggingCommand(at))
      same((await this.#s3.send(new GetObjectTaggingCommand(at))).TagSet ?? [], [], 'the tags after they were deleted')
      await this.#s3.send(new PutBucketTaggingCommand({ Bucket: bucket, Tagging }))
      const ofBucket = await this.#s3.send(new GetBucketTaggingCommand({ Bucket: bucket }))
      same(ofBucket.TagSet, Tagging.TagSet, 'the tags of the bucket')
      return ''
    })
  }

  async #cleanUp(): Promise<void> {
    await this.#day.journal.step('delete everything', async () => {
      await this.#refused('BucketNotEmpty', this.#s3.send(new DeleteBucketCommand({ Bucket: bucket })))
      let gone = 0
      for (const name of [bucket, other]) gone += await destroyBucket(this.#s3, name)
      same((await this.#s3.send(new ListBucketsCommand({}))).Buckets ?? [], [], 'the list of buckets')
      return `${gone} versions and markers, 2 buckets`
    })
  }
}

async function inParallel<Item>(items: readonly Item[], body: (item: Item) => Promise<void>): Promise<void> {
  const queue = items.values()
  const lane = async () => {
    for (const item of queue) await body(item)
  }
  await Promise.all(Array.from({ length: atOnce }, lane))
}
