import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteBucketLifecycleCommand,
  DeleteObjectCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutBucketLifecycleConfigurationCommand,
  PutObjectCommand,
  RestoreObjectCommand,
  type StorageClass,
  type TransitionStorageClass,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { type Harness, keys, openHarness, refusal } from './store.ts'

/** A day of lifecycle rules, in seconds: what is restored for a day must be there long enough to be looked at. */
const day = 3

let far: Harness
let near: Harness
let folder: string

const tier = (bucket: string, more: Readonly<Record<string, unknown>> = {}) => ({
  endpoint: far.endpoint,
  accessKey: keys.alice.accessKeyId,
  secretKey: keys.alice.secretAccessKey,
  bucket,
  ...more,
})

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meridian-tiers-'))
  far = await openHarness()
  const file = join(folder, 'tiers.json')
  const tiers = {
    CLOUD: tier('cloud-bucket'),
    PER_BUCKET: tier('per-{bucket}', { storageClass: 'GLACIER', hideSize: true }),
    LEAVE: tier('left-behind', { retainHead: false }),
    DOWN: { ...tier('down'), endpoint: 'http://127.0.0.1:9' },
  }
  await writeFile(file, JSON.stringify(tiers), { mode: 0o600 })
  const flags = { tiers: file, lifecycleDay: String(day), transitionMinimum: 'varies_by_storage_class' }
  near = await openHarness(flags, true)
})

after(async () => {
  await near?.close()
  await far?.close()
  await rm(folder, { recursive: true, force: true })
})

const head = (Bucket: string, Key: string, VersionId?: string) =>
  near.client.send(new HeadObjectCommand({ Bucket, Key, VersionId }))

async function bytesAt(harness: Harness, Bucket: string, Key: string, VersionId?: string): Promise<Buffer> {
  const { Body } = await harness.client.send(new GetObjectCommand({ Bucket, Key, VersionId }))
  return Buffer.from((await Body?.transformToByteArray()) ?? [])
}

async function keysAt(harness: Harness, Bucket: string): Promise<readonly string[]> {
  const { Contents = [] } = await harness.client.send(new ListObjectsV2Command({ Bucket }))
  return Contents.map(({ Key = '' }) => Key).sort()
}

const rule = (Bucket: string, name: string, isNoncurrent = false) =>
  near.client.send(
    new PutBucketLifecycleConfigurationCommand({
      Bucket,
      LifecycleConfiguration: {
        Rules: [
          {
            ID: 'cloud',
            Status: 'Enabled',
            Filter: { Prefix: '' },
            ...(isNoncurrent
              ? { NoncurrentVersionTransitions: [{ NoncurrentDays: 1, StorageClass: name as TransitionStorageClass }] }
              : { Transitions: [{ Days: 1, StorageClass: name as TransitionStorageClass }] }),
          },
        ],
      },
    }),
  )

async function until<Found>(look: () => Promise<Found | undefined | false>, patience = 60_000): Promise<Found> {
  for (const end = Date.now() + patience; ; await wait(50)) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (Date.now() > end) throw new Error('it did not come to be')
  }
}

const hasClass = (Bucket: string, Key: string, name: string, VersionId?: string) => async () => {
  const found = await head(Bucket, Key, VersionId)
  return found.StorageClass === (name as StorageClass) ? found : undefined
}

const noRules = (Bucket: string) => near.client.send(new DeleteBucketLifecycleCommand({ Bucket }))
const restore = (Bucket: string, Key: string, Days?: number) =>
  near.client.send(new RestoreObjectCommand({ Bucket, Key, RestoreRequest: Days === undefined ? {} : { Days } }))

describe('cloud tiers', { concurrency: true }, () => {
  test('U2: an object is taken there whole, tells of it, and is not to be read or copied', async () => {
    const bucket = await near.makeBucket()
    const body = randomBytes(70_000)
    await near.client.send(
      new PutObjectCommand({ Bucket: bucket, Key: 'a/b', Body: body, Metadata: { of: 'ours' }, ContentType: 'x/y' }),
    )
    await rule(bucket, 'CLOUD')
    const told = await until(hasClass(bucket, 'a/b', 'CLOUD'))
    assert.equal(told.ContentLength, body.length)
    assert.equal(told.Restore, undefined)
    assert.deepEqual(await bytesAt(far, 'cloud-bucket', `${bucket}/a/b`), body)
    const there = await far.client.send(new HeadObjectCommand({ Bucket: 'cloud-bucket', Key: `${bucket}/a/b` }))
    assert.deepEqual([there.Metadata, there.ContentType], [{ of: 'ours' }, 'x/y'])
    assert.equal(await refusal(bytesAt(near, bucket, 'a/b')), '403 InvalidObjectState')
    const copy = new CopyObjectCommand({ Bucket: bucket, Key: 'c', CopySource: `${bucket}/a/b` })
    assert.equal(await refusal(near.client.send(copy)), '403 InvalidObjectState')
    const onItself = new CopyObjectCommand({
      Bucket: bucket,
      Key: 'a/b',
      CopySource: `${bucket}/a/b`,
      StorageClass: 'STANDARD',
    })
    assert.equal(await refusal(near.client.send(onItself)), '403 InvalidObjectState')
    await near.client.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'a/b' }))
    await until(async () => !(await keysAt(far, 'cloud-bucket')).includes(`${bucket}/a/b`))
  })

  test('U4: a restored copy is there for its days, says so, and no longer', async () => {
    const bucket = await near.makeBucket()
    await near.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'k', Body: 'some bytes that come and go' }))
    await rule(bucket, 'PER_BUCKET')
    const told = await until(hasClass(bucket, 'k', 'PER_BUCKET'))
    assert.equal(told.ContentLength, 0)
    const remote = await far.client.send(new HeadObjectCommand({ Bucket: `per-${bucket}`, Key: 'k' }))
    assert.equal(remote.StorageClass, 'GLACIER')
    await noRules(bucket)
    const asked = await restore(bucket, 'k', 4)
    assert.equal(asked.$metadata.httpStatusCode, 202)
    const here = await until(async () => {
      const found = await head(bucket, 'k')
      return found.Restore?.startsWith('ongoing-request="false"') === true ? found : undefined
    })
    assert.match(here.Restore ?? '', /^ongoing-request="false", expiry-date="[A-Z][a-z]{2}, \d\d .* GMT"$/)
    assert.deepEqual([here.StorageClass, here.ContentLength], ['PER_BUCKET', 27])
    assert.equal((await bytesAt(near, bucket, 'k')).toString(), 'some bytes that come and go')
    const expires = new Date(here.Restore?.replace(/^.*expiry-date="(.*)"$/, '$1') ?? '')
    const OptionalObjectAttributes = ['RestoreStatus' as const]
    const asks = { Bucket: bucket, OptionalObjectAttributes }
    const status = { IsRestoreInProgress: false, RestoreExpiryDate: expires }
    const [listed] = (await near.client.send(new ListObjectsV2Command(asks))).Contents ?? []
    const [version] = (await near.client.send(new ListObjectVersionsCommand(asks))).Versions ?? []
    assert.deepEqual([listed?.RestoreStatus, version?.RestoreStatus], [status, status])
    const [plain] = (await near.client.send(new ListObjectsV2Command({ Bucket: bucket }))).Contents ?? []
    assert.deepEqual([plain?.RestoreStatus, plain?.StorageClass, plain?.Size], [undefined, 'PER_BUCKET', 27])
    // Asked for again, its time is another.
    assert.equal((await restore(bucket, 'k', 1)).$metadata.httpStatusCode, 200)
    const over = Date.now() + 2 * day * 1000
    const gone = await until(
      async () => ((await head(bucket, 'k')).ContentLength === 0 ? true : undefined),
      3 * day * 1000,
    )
    assert.ok(gone && Date.now() <= over + 1000)
    assert.equal((await head(bucket, 'k')).Restore, undefined)
    assert.equal(await refusal(bytesAt(near, bucket, 'k')), '403 InvalidObjectState')
    // What is there is there for the next time.
    await restore(bucket, 'k', 5)
    await until(async () => (await head(bucket, 'k')).ContentLength === 27)
  })

  test('U3: what is restored for good is an object like others; changed bytes are never taken', async () => {
    const bucket = await near.makeBucket()
    const put = (Key: string) =>
      near.client.send(new PutObjectCommand({ Bucket: bucket, Key, Body: `the bytes of ${Key}` }))
    await Promise.all([put('good'), put('bad')])
    await rule(bucket, 'CLOUD')
    await Promise.all(['good', 'bad'].map((key) => until(hasClass(bucket, key, 'CLOUD'))))
    await noRules(bucket)
    const name = { Bucket: 'cloud-bucket', Key: `${bucket}/bad` }
    await far.client.send(new PutObjectCommand({ ...name, Body: 'the bytes of baD' }))
    await Promise.all([restore(bucket, 'good'), restore(bucket, 'bad')])
    await until(async () => (await head(bucket, 'good')).StorageClass === undefined)
    assert.equal((await bytesAt(near, bucket, 'good')).toString(), 'the bytes of good')
    await until(async () => !(await keysAt(far, 'cloud-bucket')).includes(`${bucket}/good`))
    assert.equal((await head(bucket, 'bad')).Restore, 'ongoing-request="true"')
    assert.equal(await refusal(restore(bucket, 'bad', 1)), '409 RestoreAlreadyInProgress')
    assert.equal(await refusal(restore(bucket, 'good', 1)), '403 InvalidObjectState')
    // Once they are what they were, the restoration goes on by itself.
    await far.client.send(new PutObjectCommand({ ...name, Body: 'the bytes of bad' }))
    await until(async () => (await head(bucket, 'bad')).StorageClass === undefined)
    assert.equal((await bytesAt(near, bucket, 'bad')).toString(), 'the bytes of bad')
  })

  test('an object in parts is sent in parts, and comes back in its own', async () => {
    const bucket = await near.makeBucket()
    const name = { Bucket: bucket, Key: 'large' }
    const pieces = [randomBytes(18 * 2 ** 20), randomBytes(5 * 2 ** 20), randomBytes(1000)]
    const { UploadId } = await near.client.send(new CreateMultipartUploadCommand(name))
    const parts = []
    for (const [at, Body] of pieces.entries()) {
      const PartNumber = at * 2 + 1
      const { ETag } = await near.client.send(new UploadPartCommand({ ...name, UploadId, PartNumber, Body }))
      parts.push({ PartNumber, ETag })
    }
    await near.client.send(new CompleteMultipartUploadCommand({ ...name, UploadId, MultipartUpload: { Parts: parts } }))
    const whole = createHash('sha256').update(Buffer.concat(pieces)).digest('hex')
    const before = await head(bucket, 'large')
    await rule(bucket, 'CLOUD')
    const told = await until(hasClass(bucket, 'large', 'CLOUD'))
    assert.deepEqual([told.ETag, told.ContentLength], [before.ETag, before.ContentLength])
    const attributes = new GetObjectAttributesCommand({ ...name, ObjectAttributes: ['ObjectParts', 'StorageClass'] })
    const { ObjectParts, StorageClass } = await near.client.send(attributes)
    assert.deepEqual([ObjectParts?.TotalPartsCount, StorageClass], [3, 'CLOUD'])
    const there = await bytesAt(far, 'cloud-bucket', `${bucket}/large`)
    assert.equal(createHash('sha256').update(there).digest('hex'), whole)
    await noRules(bucket)
    await restore(bucket, 'large')
    await until(async () => (await head(bucket, 'large')).StorageClass === undefined)
    const back = await bytesAt(near, bucket, 'large')
    assert.equal(createHash('sha256').update(back).digest('hex'), whole)
    const second = await near.client.send(new GetObjectCommand({ ...name, PartNumber: 2 }))
    assert.deepEqual(Buffer.from((await second.Body?.transformToByteArray()) ?? []), pieces[1])
    assert.equal((await head(bucket, 'large')).ETag, before.ETag)
  })

  test('encrypted objects lie there encrypted, and come back; those of a customer stay', async () => {
    const bucket = await near.makeBucket()
    const body = randomBytes(300_000)
    const key = randomBytes(32)
    const put = (Key: string, more: object) =>
      near.client.send(new PutObjectCommand({ Bucket: bucket, Key, Body: body, ...more }))
    await put('own', { ServerSideEncryption: 'AES256' })
    await put('kms', { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: 'mine' })
    const customer = {
      SSECustomerAlgorithm: 'AES256',
      SSECustomerKey: key.toString('base64'),
      SSECustomerKeyMD5: createHash('md5').update(key).digest('base64'),
    }
    await put('customer', customer)
    await rule(bucket, 'CLOUD')
    for (const each of ['own', 'kms']) {
      const told = await until(hasClass(bucket, each, 'CLOUD'))
      assert.equal(told.ContentLength, body.length)
      const there = await bytesAt(far, 'cloud-bucket', `${bucket}/${each}`)
      assert.ok(there.length > body.length)
      assert.equal(there.indexOf(body.subarray(0, 32)), -1)
    }
    await noRules(bucket)
    const still = await near.client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'customer', ...customer }))
    assert.equal(still.StorageClass, undefined)
    await Promise.all([restore(bucket, 'own', 50), restore(bucket, 'kms')])
    await until(async () => (await head(bucket, 'own')).Restore?.includes('"false"'))
    await until(async () => (await head(bucket, 'kms')).StorageClass === undefined)
    for (const each of ['own', 'kms']) assert.deepEqual(await bytesAt(near, bucket, each), body)
  })

  test('U1: a version never gets the name of another one', async () => {
    const bucket = await near.makeBucket({ versioning: 'enabled' })
    const versions: string[] = []
    for (const Body of ['first', 'second', 'third']) {
      const { VersionId = '' } = await near.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'k', Body }))
      versions.push(VersionId)
    }
    await rule(bucket, 'CLOUD', true)
    for (const id of versions.slice(0, 2)) await until(hasClass(bucket, 'k', 'CLOUD', id))
    assert.equal((await head(bucket, 'k')).StorageClass, undefined)
    const mine = (await keysAt(far, 'cloud-bucket')).filter((each) => each.startsWith(bucket))
    assert.deepEqual(
      mine,
      versions.slice(0, 2).map((id) => `${bucket}/k-${id}`),
    )
    // Without versions the name is the object's own, until one before it has had it.
    const plain = await near.makeBucket()
    const put = (Body: string) => near.client.send(new PutObjectCommand({ Bucket: plain, Key: 'k', Body }))
    await put('before')
    await rule(plain, 'CLOUD')
    await until(hasClass(plain, 'k', 'CLOUD'))
    await put('after')
    const named = () => keysAt(far, 'cloud-bucket').then((all) => all.filter((each) => each.startsWith(plain)))
    await until(async () => (await named()).length === 0)
    await until(hasClass(plain, 'k', 'CLOUD'))
    const [last = '', ...others] = await named()
    assert.deepEqual(others, [])
    assert.match(last, /\/k-\d{19}$/)
    assert.equal((await bytesAt(far, 'cloud-bucket', last)).toString(), 'after')
  })

  test('where nothing is to stay, nothing but the copy is left', async () => {
    const [plain, versioned] = [await near.makeBucket(), await near.makeBucket({ versioning: 'enabled' })]
    for (const Bucket of [plain, versioned]) {
      await near.client.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'gone' }))
      await rule(Bucket, 'LEAVE')
    }
    for (const Bucket of [plain, versioned]) {
      await until(async () => (await refusal(head(Bucket, 'k'))) === '404 NotFound')
    }
    assert.equal((await bytesAt(far, 'left-behind', `${plain}/k`)).toString(), 'gone')
    const [named = ''] = (await keysAt(far, 'left-behind')).filter((each) => each.startsWith(versioned))
    assert.equal((await bytesAt(far, 'left-behind', named)).toString(), 'gone')
  })

  test('J3: an endpoint that is down keeps its own waiting, and nothing is given up for it', async () => {
    const [waiting, going] = [await near.makeBucket(), await near.makeBucket()]
    for (const Bucket of [waiting, going]) {
      await near.client.send(new PutObjectCommand({ Bucket, Key: 'k', Body: Bucket }))
    }
    await Promise.all([rule(waiting, 'DOWN'), rule(going, 'CLOUD')])
    await until(hasClass(going, 'k', 'CLOUD'))
    assert.equal((await head(waiting, 'k')).StorageClass, undefined)
    assert.equal((await bytesAt(near, waiting, 'k')).toString(), waiting)
  })

  test('rules lead to tiers that there are, and requests to none', async () => {
    const bucket = await near.makeBucket()
    assert.equal(await refusal(rule(bucket, 'NOWHERE')), '400 MalformedXML')
    const put = new PutObjectCommand({ Bucket: bucket, Key: 'k', Body: '', StorageClass: 'CLOUD' as StorageClass })
    assert.equal(await refusal(near.client.send(put)), '400 InvalidStorageClass')
  })
})
