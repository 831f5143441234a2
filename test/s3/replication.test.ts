import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteBucketReplicationCommand,
  DeleteObjectCommand,
  GetBucketReplicationCommand,
  GetObjectCommand,
  GetObjectRetentionCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  PutBucketEncryptionCommand,
  PutBucketPolicyCommand,
  PutBucketReplicationCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  PutObjectTaggingCommand,
  type ReplicationRule,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { refusal, useHarness } from './store.ts'

const harness = useHarness({}, true)
const Role = 'arn:aws:iam::123456789012:role/replication'
const arnOf = (bucket: string) => `arn:aws:s3:::${bucket}`
const versioned = (hasObjectLock = false) => harness().makeBucket({ versioning: 'enabled', hasObjectLock })

const rule = (target: string, more: Partial<ReplicationRule> = {}): ReplicationRule => ({
  ID: `to ${target}`,
  Priority: 1,
  Status: 'Enabled',
  Filter: { Prefix: '' },
  DeleteMarkerReplication: { Status: 'Disabled' },
  Destination: { Bucket: arnOf(target) },
  ...more,
})

const configure = (Bucket: string, ...Rules: ReplicationRule[]) =>
  harness().client.send(new PutBucketReplicationCommand({ Bucket, ReplicationConfiguration: { Role, Rules } }))

const put = async (Bucket: string, Key: string, more: Partial<PutObjectCommandInput> = {}) =>
  (await harness().client.send(new PutObjectCommand({ Bucket, Key, Body: `${Key} in ${Bucket}`, ...more })))
    .VersionId ?? ''

const head = (Bucket: string, Key: string, VersionId?: string, client: S3Client = harness().client) =>
  client.send(new HeadObjectCommand({ Bucket, Key, VersionId }))

async function bytesOf(Bucket: string, Key: string, VersionId?: string): Promise<Buffer> {
  const { Body } = await harness().client.send(new GetObjectCommand({ Bucket, Key, VersionId }))
  return Buffer.from((await Body?.transformToByteArray()) ?? [])
}

/** What a source tells once it is no longer PENDING. */
async function settled(Bucket: string, Key: string, VersionId?: string): Promise<string | undefined> {
  for (const end = Date.now() + 90_000; Date.now() < end; await wait(20)) {
    const { ReplicationStatus } = await head(Bucket, Key, VersionId)
    if (ReplicationStatus !== 'PENDING') return ReplicationStatus
  }
  return 'PENDING'
}

async function versionsOf(Bucket: string): Promise<readonly string[]> {
  const found = await harness().client.send(new ListObjectVersionsCommand({ Bucket }))
  const marked = (found.DeleteMarkers ?? []).map(({ Key, VersionId }) => `${Key} ${VersionId} marker`)
  return [...(found.Versions ?? []).map(({ Key, VersionId }) => `${Key} ${VersionId}`), ...marked].sort()
}

test('Q5: a replica has the id, bytes and words of its source, and each tells which it is', async () => {
  const [source, target] = [await versioned(), await versioned()]
  const before = await put(source, 'before')
  await configure(source, rule(target, { Destination: { Bucket: arnOf(target), StorageClass: 'STANDARD_IA' } }))
  const body = randomBytes(300_000)
  const ids = [
    await put(source, 'k', { Body: 'small', Metadata: { a: 'b' }, ContentType: 'x/y', Tagging: 'one=1' }),
    await put(source, 'k', { Body: body }),
  ]
  for (const id of ids) assert.equal(await settled(source, 'k', id), 'COMPLETED')
  const small = await head(target, 'k', ids[0])
  assert.equal(small.ReplicationStatus, 'REPLICA')
  assert.deepEqual([small.Metadata, small.ContentType, small.StorageClass], [{ a: 'b' }, 'x/y', 'STANDARD_IA'])
  const own = await head(source, 'k', ids[0])
  assert.deepEqual([small.ETag, small.LastModified], [own.ETag, own.LastModified])
  const { TagSet } = await harness().client.send(
    new GetObjectTaggingCommand({ Bucket: target, Key: 'k', VersionId: ids[0] }),
  )
  assert.deepEqual(TagSet, [{ Key: 'one', Value: '1' }])
  assert.equal((await bytesOf(target, 'k', ids[0])).toString(), 'small')
  assert.deepEqual(await bytesOf(target, 'k'), body)
  // What was there before stays where it is.
  assert.equal((await head(source, 'before', before)).ReplicationStatus, undefined)
  assert.deepEqual(await versionsOf(target), ids.map((id) => `k ${id}`).sort())
})

test('Q3: filters, priorities and statuses say what goes where', async () => {
  const [source, one, other] = [await versioned(), await versioned(), await versioned()]
  const to = (bucket: string, StorageClass: 'STANDARD_IA' | 'ONEZONE_IA') => ({ Bucket: arnOf(bucket), StorageClass })
  await configure(
    source,
    rule(one, { ID: 'low', Priority: 1, Filter: { Prefix: 'a/' }, Destination: to(one, 'STANDARD_IA') }),
    rule(one, {
      ID: 'high',
      Priority: 9,
      Filter: {
        And: {
          Prefix: 'a/',
          Tags: [
            { Key: 'x', Value: 'y' },
            { Key: 'p', Value: 'q' },
          ],
        },
      },
      Destination: to(one, 'ONEZONE_IA'),
    }),
    rule(other, { ID: 'tag', Priority: 3, Filter: { Tag: { Key: 'x', Value: 'y' } } }),
    rule(other, { ID: 'off', Priority: 4, Status: 'Disabled' }),
  )
  await put(source, 'a/plain')
  await put(source, 'a/tagged', { Tagging: 'x=y&p=q' })
  await put(source, 'b/tagged', { Tagging: 'x=y' })
  await put(source, 'b/plain')
  for (const key of ['a/plain', 'a/tagged', 'b/tagged']) assert.equal(await settled(source, key), 'COMPLETED')
  assert.equal((await head(source, 'b/plain')).ReplicationStatus, undefined)
  assert.equal((await head(one, 'a/plain')).StorageClass, 'STANDARD_IA')
  assert.equal((await head(one, 'a/tagged')).StorageClass, 'ONEZONE_IA')
  assert.deepEqual(
    (await versionsOf(one)).map((each) => each.split(' ')[0]),
    ['a/plain', 'a/tagged'],
  )
  assert.deepEqual(
    (await versionsOf(other)).map((each) => each.split(' ')[0]),
    ['a/tagged', 'b/tagged'],
  )
})

test('delete markers go along where a rule says so; deletions of versions never do', async () => {
  const [source, marked, unmarked] = [await versioned(), await versioned(), await versioned()]
  await configure(
    source,
    rule(marked, { DeleteMarkerReplication: { Status: 'Enabled' } }),
    rule(unmarked, { Priority: 2 }),
  )
  const id = await put(source, 'k')
  assert.equal(await settled(source, 'k'), 'COMPLETED')
  const gone = await harness().client.send(new DeleteObjectCommand({ Bucket: source, Key: 'k' }))
  const expected = [`k ${id}`, `k ${gone.VersionId} marker`].sort()
  for (let tries = 0; tries < 3_000 && (await versionsOf(marked)).length < 2; tries++) await wait(20)
  assert.deepEqual(await versionsOf(marked), expected)
  assert.equal(await refusal(head(marked, 'k')), '404 NotFound')
  assert.deepEqual(await versionsOf(unmarked), [`k ${id}`])
  await harness().client.send(new DeleteObjectCommand({ Bucket: source, Key: 'k', VersionId: id }))
  // Something that is replicated after it shows that it was not.
  await put(source, 'last')
  assert.equal(await settled(source, 'last'), 'COMPLETED')
  assert.equal((await versionsOf(marked)).length, 3)
  assert.deepEqual(await bytesOf(marked, 'k', id), Buffer.from(`k in ${source}`))
})

test('Q6: two buckets that replicate to each other end with the same versions, and no more', async () => {
  const [left, right] = [await versioned(), await versioned()]
  const both = { DeleteMarkerReplication: { Status: 'Enabled' } } as const
  await configure(left, rule(right, both))
  await configure(right, rule(left, both))
  const ids = await Promise.all([put(left, 'l'), put(right, 'r'), put(left, 'k'), put(right, 'k')])
  for (const [bucket, key, id] of [
    [left, 'l', ids[0]],
    [right, 'r', ids[1]],
    [left, 'k', ids[2]],
    [right, 'k', ids[3]],
  ] as const) {
    assert.equal(await settled(bucket, key, id), 'COMPLETED')
  }
  await wait(500)
  const all = await versionsOf(left)
  assert.equal(all.length, 4)
  assert.deepEqual(await versionsOf(right), all)
  // The newer one is the current one, wherever it was written.
  assert.equal((await head(left, 'k')).VersionId, (await head(right, 'k')).VersionId)
  assert.equal((await head(left, 'k')).VersionId, [ids[2], ids[3]].sort().at(-1))
})

test('objects in parts have the same parts, ETag and bytes', async () => {
  const [source, target] = [await versioned(), await versioned()]
  await configure(source, rule(target))
  const name = { Bucket: source, Key: 'large' }
  const pieces = [randomBytes(5 * 2 ** 20), randomBytes(5 * 2 ** 20 + 7), randomBytes(100)]
  const { UploadId } = await harness().client.send(new CreateMultipartUploadCommand(name))
  const Parts = []
  for (const [at, Body] of pieces.entries()) {
    const PartNumber = at + 1
    const { ETag } = await harness().client.send(new UploadPartCommand({ ...name, UploadId, PartNumber, Body }))
    Parts.push({ PartNumber, ETag })
  }
  await harness().client.send(new CompleteMultipartUploadCommand({ ...name, UploadId, MultipartUpload: { Parts } }))
  assert.equal(await settled(source, 'large'), 'COMPLETED')
  assert.equal((await head(target, 'large')).ETag, (await head(source, 'large')).ETag)
  const second = await harness().client.send(new GetObjectCommand({ Bucket: target, Key: 'large', PartNumber: 2 }))
  assert.deepEqual(Buffer.from((await second.Body?.transformToByteArray()) ?? []), pieces[1])
  const whole = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
  assert.equal(whole(await bytesOf(target, 'large')), whole(Buffer.concat(pieces)))
})

test('replicas are encrypted as their bucket has it, and never less than their source; a customer’s object cannot be', async () => {
  const [source, plain, managed] = [await versioned(), await versioned(), await versioned()]
  await harness().client.send(
    new PutBucketEncryptionCommand({
      Bucket: managed,
      ServerSideEncryptionConfiguration: {
        Rules: [{ ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms', KMSMasterKeyID: 'mine' } }],
      },
    }),
  )
  await configure(
    source,
    rule(plain, {
      SourceSelectionCriteria: { SseKmsEncryptedObjects: { Status: 'Enabled' } },
      Destination: { Bucket: arnOf(plain), EncryptionConfiguration: { ReplicaKmsKeyID: 'yours' } },
    }),
    rule(managed, { Priority: 2 }),
  )
  const body = randomBytes(200_000)
  await put(source, 'none', { Body: body })
  await put(source, 'own', { Body: body, ServerSideEncryption: 'AES256' })
  await put(source, 'kms', { Body: body, ServerSideEncryption: 'aws:kms', SSEKMSKeyId: 'mine' })
  for (const key of ['none', 'own', 'kms']) assert.equal(await settled(source, key), 'COMPLETED')
  const schemeOf = async (bucket: string, key: string) => {
    const { ServerSideEncryption, SSEKMSKeyId } = await head(bucket, key)
    assert.deepEqual(await bytesOf(bucket, key), body)
    return [ServerSideEncryption, SSEKMSKeyId]
  }
  assert.deepEqual(await schemeOf(plain, 'none'), [undefined, undefined])
  assert.deepEqual(await schemeOf(plain, 'own'), ['AES256', undefined])
  assert.deepEqual(await schemeOf(plain, 'kms'), ['aws:kms', 'yours'])
  assert.deepEqual(await schemeOf(managed, 'none'), ['aws:kms', 'mine'])
  // No rule to that bucket takes what a KMS's key encrypts.
  assert.equal(await refusal(head(managed, 'kms')), '404 NotFound')
  const key = randomBytes(32)
  const customer = {
    SSECustomerAlgorithm: 'AES256',
    SSECustomerKey: key.toString('base64'),
    SSECustomerKeyMD5: createHash('md5').update(key).digest('base64'),
  }
  await put(source, 'customer', customer)
  const told = () => harness().client.send(new HeadObjectCommand({ Bucket: source, Key: 'customer', ...customer }))
  for (let tries = 0; tries < 3_000 && (await told()).ReplicationStatus === 'PENDING'; tries++) await wait(20)
  assert.equal((await told()).ReplicationStatus, 'FAILED')
})

test('tags and locks go along, at once and when they change', async () => {
  const [source, target] = [await versioned(true), await versioned(true)]
  await configure(source, rule(target))
  const ObjectLockRetainUntilDate = new Date(Date.UTC(2100, 0, 1))
  const id = await put(source, 'k', {
    ObjectLockMode: 'GOVERNANCE',
    ObjectLockRetainUntilDate,
    ChecksumAlgorithm: 'CRC32',
  })
  assert.equal(await settled(source, 'k'), 'COMPLETED')
  const { Retention } = await harness().client.send(new GetObjectRetentionCommand({ Bucket: target, Key: 'k' }))
  assert.deepEqual(Retention, { Mode: 'GOVERNANCE', RetainUntilDate: ObjectLockRetainUntilDate })
  const removal = new DeleteObjectCommand({ Bucket: target, Key: 'k', VersionId: id })
  assert.equal(await refusal(harness().client.send(removal)), '403 AccessDenied')
  const Tagging = { TagSet: [{ Key: 'later', Value: 'yes' }] }
  await harness().client.send(new PutObjectTaggingCommand({ Bucket: source, Key: 'k', Tagging }))
  assert.equal(await settled(source, 'k'), 'COMPLETED')
  const { TagSet } = await harness().client.send(new GetObjectTaggingCommand({ Bucket: target, Key: 'k' }))
  assert.deepEqual(TagSet, Tagging.TagSet)
})

test('Q7: a bucket of another account takes replicas where its policy says so; otherwise they have failed', async () => {
  const { client, otherClient, ids, services } = harness()
  const target = await versioned()
  const source = `source-${randomBytes(6).toString('hex')}`
  const grant = { grantee: { kind: 'account', id: ids.bob, displayName: 'bob' }, permission: 'FULL_CONTROL' } as const
  const acl = { owner: ids.bob, grants: [grant] }
  await services.buckets.create({ name: source, owner: ids.bob, acl, location: '', hasObjectLock: false })
  await services.buckets.update(source, (bucket) => ({ ...bucket, versioning: 'enabled' }))
  const Rules = [rule(target)]
  await otherClient.send(new PutBucketReplicationCommand({ Bucket: source, ReplicationConfiguration: { Role, Rules } }))
  const tell = async (Key: string) => {
    await otherClient.send(new PutObjectCommand({ Bucket: source, Key, Body: Key }))
    const told = async () => (await head(source, Key, undefined, otherClient)).ReplicationStatus
    for (let tries = 0; tries < 3_000 && (await told()) === 'PENDING'; tries++) await wait(20)
    return await told()
  }
  assert.equal(await tell('refused'), 'FAILED')
  const allow = {
    Effect: 'Allow',
    Principal: { AWS: ids.bob },
    Action: 's3:ReplicateObject',
    Resource: `${arnOf(target)}/*`,
  }
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [allow] })
  await client.send(new PutBucketPolicyCommand({ Bucket: target, Policy }))
  assert.equal(await tell('taken'), 'COMPLETED')
  assert.deepEqual(
    (await versionsOf(target)).map((each) => each.split(' ')[0]),
    ['taken'],
  )
  // A bucket that is full of leave is still no bucket without versions.
  await client.send(
    new PutBucketVersioningCommand({ Bucket: target, VersioningConfiguration: { Status: 'Suspended' } }),
  )
  assert.equal(await tell('suspended'), 'FAILED')
})

test('a configuration is told as it was put, and refused where it could not be carried out', async () => {
  const { client, makeBucket } = harness()
  const [source, target, unversioned, locked] = [
    await versioned(),
    await versioned(),
    await makeBucket(),
    await versioned(true),
  ]
  const get = async () =>
    (await client.send(new GetBucketReplicationCommand({ Bucket: source }))).ReplicationConfiguration
  assert.equal(await refusal(get()), '404 ReplicationConfigurationNotFoundError')
  const rules = [
    rule(target, {
      Filter: { And: { Prefix: 'p', Tags: [{ Key: 'k', Value: 'v' }] } },
      SourceSelectionCriteria: { SseKmsEncryptedObjects: { Status: 'Enabled' } },
      Destination: {
        Bucket: arnOf(target),
        Account: harness().ids.alice,
        StorageClass: 'GLACIER',
        AccessControlTranslation: { Owner: 'Destination' },
        EncryptionConfiguration: { ReplicaKmsKeyID: 'mine' },
        ReplicationTime: { Status: 'Enabled', Time: { Minutes: 15 } },
        Metrics: { Status: 'Enabled', EventThreshold: { Minutes: 15 } },
      },
    }),
  ]
  await configure(source, ...rules)
  assert.deepEqual(await get(), { Role, Rules: rules })
  const old = { ID: 'old', Prefix: 'x', Status: 'Disabled', Destination: { Bucket: arnOf(target) } } as const
  await configure(source, old)
  assert.deepEqual(await get(), { Role, Rules: [old] })
  const suspend = new PutBucketVersioningCommand({ Bucket: source, VersioningConfiguration: { Status: 'Suspended' } })
  assert.equal(await refusal(client.send(suspend)), '409 InvalidBucketState')
  const without = (name: keyof ReplicationRule) => {
    const { [name]: _, ...rest } = rule(target)
    return rest as ReplicationRule
  }
  const tags = { Tag: { Key: 'a', Value: 'b' } }
  for (const [why, from, ...wrong] of [
    ['400 InvalidRequest', source, rule('there-is-no-such-bucket')],
    ['400 InvalidRequest', source, rule(unversioned)],
    ['400 InvalidRequest', source, rule(source)],
    ['400 InvalidRequest', unversioned, rule(target)],
    ['400 InvalidRequest', locked, rule(target)],
    ['400 InvalidRequest', source, without('Priority')],
    ['400 InvalidRequest', source, without('DeleteMarkerReplication')],
    ['400 InvalidRequest', source, rule(target), rule(target, { ID: 'other' })],
    ['400 InvalidArgument', source, rule(target), rule(target, { Priority: 2 })],
    ['400 InvalidRequest', source, rule(target, { Filter: tags, DeleteMarkerReplication: { Status: 'Enabled' } })],
    ['400 InvalidRequest', source, rule(target), { ...old, ID: 'mixed' }],
    ['501 NotImplemented', source, rule(target, { ExistingObjectReplication: { Status: 'Enabled' } })],
  ] as const) {
    assert.equal(await refusal(configure(from, ...wrong)), why, JSON.stringify(wrong))
  }
  await client.send(new DeleteBucketReplicationCommand({ Bucket: source }))
  assert.equal(await refusal(get()), '404 ReplicationConfigurationNotFoundError')
  await put(source, 'after')
  assert.equal((await head(source, 'after')).ReplicationStatus, undefined)
})
