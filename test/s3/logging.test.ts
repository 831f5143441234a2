import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import * as s3 from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { administrator, ServerProcess } from '../support/server-process.ts'
import { visitSite } from '../support/visit.ts'
import { refusal, useHarness } from './store.ts'

const harness = useHarness()

const policyFor = (target: string, source: string, owner: string): string =>
  JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      {
        Sid: 'S3ServerAccessLogsPolicy',
        Effect: 'Allow',
        Principal: { Service: 'logging.s3.amazonaws.com' },
        Action: ['s3:PutObject'],
        Resource: `arn:aws:s3:::${target}/*`,
        Condition: {
          ArnLike: { 'aws:SourceArn': `arn:aws:s3:::${source}` },
          StringEquals: { 'aws:SourceAccount': owner },
        },
      },
    ],
  })

const enable = (Bucket: string, LoggingEnabled: s3.LoggingEnabled) =>
  new s3.PutBucketLoggingCommand({ Bucket, BucketLoggingStatus: { LoggingEnabled } })

/** A bucket and another that takes its logs. */
async function makePair(): Promise<{ source: string; target: string }> {
  const { client, makeBucket, ids } = harness()
  const [source, target] = [await makeBucket(), await makeBucket()]
  const Policy = policyFor(target, source, ids.alice)
  await client.send(new s3.PutBucketPolicyCommand({ Bucket: target, Policy }))
  return { source, target }
}

/** What is in the log so far, line by line, in fields; it is delivered for that. */
async function linesOf(source: string, target: string): Promise<readonly (readonly string[])[]> {
  const { client, services } = harness()
  const Key = await services.logs.flush(source, () => {})
  const { Body } = await client.send(new s3.GetObjectCommand({ Bucket: target, Key }))
  const text = (await Body?.transformToString()) ?? ''
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => line.match(/"[^"]*"|\[[^\]]*\]|\S+/g) ?? [])
}

const field = {
  bucket: 1,
  requester: 4,
  operation: 6,
  key: 7,
  uri: 8,
  status: 9,
  error: 10,
  sent: 11,
  size: 12,
  userAgent: 16,
  version: 17,
  signature: 19,
  authentication: 21,
  acl: 25,
} as const

const pick = (lines: readonly (readonly string[])[], ...names: readonly (keyof typeof field)[]) =>
  lines.map((line) => names.map((name) => line[field[name]]).join(' '))

test('a bucket says how it is logged, until it is not', async () => {
  const { client, ids, makeBucket } = harness()
  const { source, target } = await makePair()
  const get = async () => (await client.send(new s3.GetBucketLoggingCommand({ Bucket: source }))).LoggingEnabled
  assert.equal(await get(), undefined)
  await client.send(enable(source, { TargetBucket: target, TargetPrefix: 'l/' }))
  assert.deepEqual(await get(), {
    TargetBucket: target,
    TargetPrefix: 'l/',
    TargetObjectKeyFormat: { SimplePrefix: {} },
  })
  const grant = { Grantee: { Type: 'CanonicalUser', ID: ids.bob, DisplayName: 'bob' }, Permission: 'READ' } as const
  const partitioned = { PartitionedPrefix: { PartitionDateSource: 'DeliveryTime' } } as const
  const enabled = { TargetBucket: target, TargetPrefix: '', TargetGrants: [grant], TargetObjectKeyFormat: partitioned }
  await client.send(enable(source, enabled))
  assert.deepEqual(await get(), enabled)
  await client.send(new s3.PutBucketLoggingCommand({ Bucket: source, BucketLoggingStatus: {} }))
  assert.equal(await get(), undefined)
  // What names no source of its date goes by the event's.
  await client.send(enable(source, { ...enabled, TargetObjectKeyFormat: { PartitionedPrefix: {} } }))
  assert.equal((await get())?.TargetObjectKeyFormat?.PartitionedPrefix?.PartitionDateSource, 'EventTime')

  const other = await makeBucket()
  await client.send(
    new s3.PutBucketOwnershipControlsCommand({
      Bucket: other,
      OwnershipControls: { Rules: [{ ObjectOwnership: 'BucketOwnerEnforced' }] },
    }),
  )
  const refused = enable(source, { TargetBucket: other, TargetPrefix: '', TargetGrants: [grant] })
  assert.equal(await refusal(client.send(refused)), '400 AccessControlListNotSupported')
})

test('targets that cannot be are refused', async () => {
  const { client, otherClient, makeBucket, ids } = harness()
  const { source, target } = await makePair()
  const ask = (TargetBucket: string, more: object = {}) =>
    refusal(client.send(enable(source, { TargetBucket, TargetPrefix: 'l/', ...more })))
  assert.equal(await ask(`${target}-no`), '400 InvalidTargetBucketForLogging')
  assert.equal(await ask(source), '400 InvalidArgument')
  assert.equal(await ask(await makeBucket()), '403 AccessDenied', 'nothing lets the service in')
  const kaboom = { PartitionedPrefix: { PartitionDateSource: 'kaboom' } }
  assert.equal(await ask(target, { TargetObjectKeyFormat: kaboom }), '400 MalformedXML')
  assert.equal(await ask(target, { TargetPrefix: 'p'.repeat(801) }), '400 InvalidArgument')
  assert.equal(
    await refusal(otherClient.send(enable(source, { TargetBucket: target, TargetPrefix: '' }))),
    '403 AccessDenied',
  )

  const payers = await makeBucket()
  await client.send(new s3.PutBucketPolicyCommand({ Bucket: payers, Policy: policyFor(payers, source, ids.alice) }))
  const RequestPaymentConfiguration = { Payer: 'Requester' } as const
  await client.send(new s3.PutBucketRequestPaymentCommand({ Bucket: payers, RequestPaymentConfiguration }))
  assert.equal(await ask(payers), '400 InvalidArgument')

  const chained = await makePair()
  await client.send(enable(chained.source, { TargetBucket: chained.target, TargetPrefix: '' }))
  await client.send(
    new s3.PutBucketPolicyCommand({ Bucket: chained.source, Policy: policyFor(chained.source, source, ids.alice) }),
  )
  assert.equal(await ask(chained.source), '400 InvalidArgument', 'the target has logging itself')

  assert.equal(await ask(target), 'nothing was refused')
  const Rules = [{ ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' as const } }]
  await client.send(new s3.PutBucketEncryptionCommand({ Bucket: target, ServerSideEncryptionConfiguration: { Rules } }))
  assert.equal(await ask(target), '400 InvalidArgument', 'encrypted')
  // What was logged there before goes on, and is encrypted as the bucket has it.
  await client.send(new s3.PutObjectCommand({ Bucket: source, Key: 'k', Body: 'b' }))
  assert.deepEqual(pick(await linesOf(source, target), 'operation'), ['REST.PUT.LOGGING_STATUS', 'REST.PUT.OBJECT'])
})

test('only the owner sets it, whatever the policy gives', async () => {
  const { client, otherClient } = harness()
  const { source, target } = await makePair()
  const Statement = { Effect: 'Allow', Principal: '*', Action: 's3:*', Resource: `arn:aws:s3:::${source}` }
  await client.send(new s3.PutBucketPolicyCommand({ Bucket: source, Policy: JSON.stringify({ Statement }) }))
  const asked = enable(source, { TargetBucket: target, TargetPrefix: '' })
  assert.equal(await refusal(otherClient.send(asked)), '403 AccessDenied')
  await client.send(asked)
  const off = new s3.PutBucketLoggingCommand({ Bucket: source, BucketLoggingStatus: {} })
  assert.equal(await refusal(otherClient.send(off)), '403 AccessDenied')
})

test('each request has its line, with what it was and how it ended', async () => {
  const { client, otherClient, endpoint, ids } = harness()
  const { source, target } = await makePair()
  await client.send(enable(source, { TargetBucket: target, TargetPrefix: '' }))
  const Bucket = source
  await client.send(new s3.PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }))
  const large = Buffer.alloc(300_000, 'x')
  const { VersionId } = await client.send(new s3.PutObjectCommand({ Bucket, Key: 'a b/ü', Body: large }))
  const got = await client.send(new s3.GetObjectCommand({ Bucket, Key: 'a b/ü' }))
  await got.Body?.transformToByteArray()
  await client.send(new s3.GetObjectCommand({ Bucket, Key: 'a b/ü', Range: 'bytes=0-9' }))
  await client.send(new s3.HeadObjectCommand({ Bucket, Key: 'a b/ü' }))
  await refusal(client.send(new s3.GetObjectCommand({ Bucket, Key: 'none' })))
  await refusal(otherClient.send(new s3.GetObjectCommand({ Bucket, Key: 'a b/ü' })))
  await client.send(new s3.ListObjectsV2Command({ Bucket }))
  await client.send(new s3.CopyObjectCommand({ Bucket, Key: 'copy', CopySource: `${source}/a%20b/%C3%BC` }))
  await client.send(
    new s3.PutObjectTaggingCommand({ Bucket, Key: 'copy', Tagging: { TagSet: [{ Key: 'k', Value: 'v' }] } }),
  )
  await client.send(new s3.GetBucketTaggingCommand({ Bucket })).catch(() => undefined)
  const { UploadId } = await client.send(new s3.CreateMultipartUploadCommand({ Bucket, Key: 'parts' }))
  const part = await client.send(
    new s3.UploadPartCommand({ Bucket, Key: 'parts', UploadId, PartNumber: 1, Body: 'part' }),
  )
  const MultipartUpload = { Parts: [{ ETag: part.ETag, PartNumber: 1 }] }
  await client.send(new s3.CompleteMultipartUploadCommand({ Bucket, Key: 'parts', UploadId, MultipartUpload }))
  await client.send(new s3.DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: 'copy' }] } }))
  await client.send(new s3.DeleteObjectCommand({ Bucket, Key: 'parts' }))

  const presigned = await getSignedUrl(client, new s3.GetObjectCommand({ Bucket, Key: 'a b/ü' }))
  assert.equal((await fetch(presigned)).status, 200)
  assert.equal((await fetch(`${endpoint}/${source}/a%20b/%C3%BC`, { headers: { 'user-agent': 'a "b"' } })).status, 403)
  assert.equal((await fetch(`${endpoint}/${source}?list-type=2`, { headers: { authorization: 'kaboom' } })).status, 400)

  const lines = await linesOf(source, target)
  assert.ok(lines.every((line) => line.length === 26 && line[0] === ids.alice && line[1] === source))
  const key = 'a%20b/%C3%BC'
  assert.deepEqual(pick(lines, 'operation', 'key', 'status', 'error', 'size'), [
    'REST.PUT.VERSIONING - 200 - -',
    `REST.PUT.OBJECT ${key} 200 - 300000`,
    `REST.GET.OBJECT ${key} 200 - 300000`,
    `REST.GET.OBJECT ${key} 206 - 300000`,
    `REST.HEAD.OBJECT ${key} 200 - 300000`,
    'REST.GET.OBJECT none 404 NoSuchKey -',
    `REST.GET.OBJECT ${key} 403 AccessDenied 300000`,
    'REST.GET.BUCKET - 200 - -',
    `REST.COPY.OBJECT_GET ${key} 200 - 300000`,
    'REST.COPY.OBJECT copy 200 - -',
    'REST.PUT.OBJECT_TAGGING copy 200 - -',
    'REST.GET.TAGGING - 404 NoSuchTagSet -',
    'REST.POST.UPLOADS parts 200 - -',
    'REST.PUT.PART parts 200 - 4',
    'REST.POST.UPLOAD parts 200 - -',
    'BATCH.DELETE.OBJECT copy 204 - -',
    'REST.POST.MULTI_OBJECT_DELETE - 200 - -',
    'REST.DELETE.OBJECT parts 204 - -',
    `REST.GET.OBJECT ${key} 200 - 300000`,
    `REST.GET.OBJECT ${key} 403 AccessDenied 300000`,
    'REST.GET.BUCKET - 400 InvalidArgument -',
  ])
  assert.deepEqual(pick(lines.slice(1, 5), 'sent'), ['-', '300000', '10', '-'])
  assert.equal(lines[1]?.[field.version], VersionId)
  const shown = pick([lines[2] ?? [], lines[6] ?? [], ...lines.slice(-3)], 'requester', 'authentication', 'signature')
  assert.deepEqual(shown, [
    `${ids.alice} AuthHeader SigV4`,
    `${ids.bob} AuthHeader SigV4`,
    `${ids.alice} QueryString SigV4`,
    '- - -',
    '- AuthHeader SigV2',
  ])
  assert.equal(lines.at(-2)?.[field.userAgent], '"a %22b%22"')
})

test('pages of a website have lines of their own', async () => {
  const { client, endpoint } = harness()
  const { source, target } = await makePair()
  await client.send(new s3.PutObjectCommand({ Bucket: source, Key: 'i.html', Body: 'page', ACL: 'public-read' }))
  const WebsiteConfiguration = { IndexDocument: { Suffix: 'i.html' } }
  await client.send(new s3.PutBucketWebsiteCommand({ Bucket: source, WebsiteConfiguration }))
  await client.send(enable(source, { TargetBucket: target, TargetPrefix: 'l/' }))
  await linesOf(source, target)
  for (const path of ['/', '/i.html', '/none']) await visitSite(endpoint, source, path)
  await visitSite(endpoint, source, '/i.html', { method: 'POST' })
  assert.deepEqual(pick(await linesOf(source, target), 'requester', 'operation', 'key', 'status', 'error'), [
    '- WEBSITE.GET.OBJECT - 200 -',
    '- WEBSITE.GET.OBJECT i.html 200 -',
    '- WEBSITE.GET.OBJECT none 403 AccessDenied',
    '- WEBSITE.POST.OBJECT i.html 405 MethodNotAllowed',
  ])
})

test('whoever reads a log cannot do with it what its requests could', async () => {
  const { client } = harness()
  const { source, target } = await makePair()
  await client.send(enable(source, { TargetBucket: target, TargetPrefix: '' }))
  await client.send(new s3.PutObjectCommand({ Bucket: source, Key: 'secret', Body: 'b' }))
  const url = await getSignedUrl(client, new s3.GetObjectCommand({ Bucket: source, Key: 'secret' }))
  assert.equal((await fetch(url)).status, 200)
  const uri = (await linesOf(source, target)).at(-1)?.[field.uri] ?? ''
  assert.match(uri, /^"GET \/\S+\?\S*X-Amz-Signature=REDACTED(&\S*)? HTTP\/1\.1"$/)
  assert.match(uri, /X-Amz-Credential=/)
  assert.ok(!uri.includes(new URL(url).searchParams.get('X-Amz-Signature') ?? ''))
})

test('a copy is told in both buckets, as far as each is logged', async () => {
  const { client, makeBucket } = harness()
  const { source, target } = await makePair()
  const other = await makePair()
  await client.send(new s3.PutObjectCommand({ Bucket: source, Key: 'k', Body: 'bytes' }))
  await client.send(enable(source, { TargetBucket: target, TargetPrefix: '' }))
  const copyTo = (Bucket: string) =>
    client.send(new s3.CopyObjectCommand({ Bucket, Key: 'c', CopySource: `${source}/k` }))
  await copyTo(await makeBucket())
  await client.send(enable(other.source, { TargetBucket: other.target, TargetPrefix: '' }))
  await copyTo(other.source)
  const read = 'REST.COPY.OBJECT_GET k 200 5'
  assert.deepEqual(pick(await linesOf(source, target), 'operation', 'key', 'status', 'size'), [read, read])
  const written = pick(await linesOf(other.source, other.target), 'operation', 'key', 'status', 'size')
  assert.deepEqual(written, ['REST.COPY.OBJECT c 200 -'])
})

test('what only an ACL allowed is told', async () => {
  const { client, otherClient, endpoint } = harness()
  const { source, target } = await makePair()
  await client.send(new s3.PutObjectCommand({ Bucket: source, Key: 'k', Body: 'b', ACL: 'public-read' }))
  await client.send(enable(source, { TargetBucket: target, TargetPrefix: '' }))
  await client.send(new s3.GetObjectCommand({ Bucket: source, Key: 'k' }))
  await otherClient.send(new s3.GetObjectCommand({ Bucket: source, Key: 'k' }))
  await fetch(`${endpoint}/${source}/k`)
  const Statement = { Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: `arn:aws:s3:::${source}/*` }
  await client.send(new s3.PutBucketPolicyCommand({ Bucket: source, Policy: JSON.stringify({ Statement }) }))
  await otherClient.send(new s3.GetObjectCommand({ Bucket: source, Key: 'k' }))
  const reads = (await linesOf(source, target)).filter((line) => line[field.operation] === 'REST.GET.OBJECT')
  assert.deepEqual(pick(reads, 'acl'), ['-', 'Yes', 'Yes', '-'])
})

test('log objects are the target owner’s, as the target keeps objects, with the grants that were asked for', async () => {
  const { client, otherClient, ids, makeBucket } = harness()
  const source = await makeBucket()
  const target = await makeBucket({ hasObjectLock: true })
  await client.send(new s3.PutBucketPolicyCommand({ Bucket: target, Policy: policyFor(target, source, ids.alice) }))
  const Rule = { DefaultRetention: { Mode: 'GOVERNANCE' as const, Days: 1 } }
  const ObjectLockConfiguration = { ObjectLockEnabled: 'Enabled' as const, Rule }
  await client.send(new s3.PutObjectLockConfigurationCommand({ Bucket: target, ObjectLockConfiguration }))
  const grant = { Grantee: { Type: 'CanonicalUser', ID: ids.bob }, Permission: 'READ' } as const
  await client.send(enable(source, { TargetBucket: target, TargetPrefix: 'l/', TargetGrants: [grant] }))
  await client.send(new s3.PutObjectCommand({ Bucket: source, Key: 'k', Body: 'b' }))
  const Key = await harness().services.logs.flush(source, () => {})
  assert.match(Key, /^l\/\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-[0-9]{10}[A-Z2-7]{6}$/)
  const read = await otherClient.send(new s3.GetObjectCommand({ Bucket: target, Key }))
  assert.equal(read.ContentType, 'text/plain')
  assert.match((await read.Body?.transformToString()) ?? '', /REST\.PUT\.OBJECT k /)
  const head = await client.send(new s3.HeadObjectCommand({ Bucket: target, Key }))
  assert.deepEqual([head.ObjectLockMode, head.VersionId !== undefined], ['GOVERNANCE', true])
  const { Owner } = await client.send(new s3.GetObjectAclCommand({ Bucket: target, Key }))
  assert.equal(Owner?.ID, ids.alice)
})

test('what was answered is in the log though the node was killed', { timeout: 240_000 }, async () => {
  const data = await mkdtemp(join(tmpdir(), 'meridian-logging-'))
  const start = async () => {
    const server = await ServerProcess.start({ data, workers: 2 })
    const { accessKey: accessKeyId, secretKey: secretAccessKey } = administrator
    const { endpoint } = server
    const credentials = { accessKeyId, secretAccessKey }
    return { server, client: new s3.S3Client({ endpoint, region: 'x', forcePathStyle: true, credentials }) }
  }
  const first = await start()
  let last = first
  try {
    const [source, target] = ['source', 'target']
    for (const Bucket of [source, target]) await first.client.send(new s3.CreateBucketCommand({ Bucket }))
    const { Owner } = await first.client.send(new s3.GetBucketAclCommand({ Bucket: source }))
    const Policy = policyFor(target, source, Owner?.ID ?? '')
    await first.client.send(new s3.PutBucketPolicyCommand({ Bucket: target, Policy }))
    await first.client.send(enable(source, { TargetBucket: target, TargetPrefix: '' }))
    const keys = Array.from({ length: 40 }, (_, at) => `key${at}`)
    await Promise.all(keys.map((Key) => first.client.send(new s3.PutObjectCommand({ Bucket: source, Key, Body: 'b' }))))
    await Promise.all(
      keys.map(async (Key) => {
        const { Body } = await first.client.send(new s3.GetObjectCommand({ Bucket: source, Key }))
        await Body?.transformToString()
      }),
    )
    await first.server.kill()
    last = await start()
    // Logging that is turned off delivers what there is.
    await last.client.send(new s3.PutBucketLoggingCommand({ Bucket: source, BucketLoggingStatus: {} }))
    const { Contents = [] } = await last.client.send(new s3.ListObjectsV2Command({ Bucket: target }))
    const lines: string[] = []
    for (const { Key } of Contents) {
      const { Body } = await last.client.send(new s3.GetObjectCommand({ Bucket: target, Key }))
      lines.push(...((await Body?.transformToString()) ?? '').split('\n'))
    }
    for (const verb of ['PUT', 'GET']) {
      const found = lines.flatMap((line) => new RegExp(`REST\\.${verb}\\.OBJECT (\\S+) `).exec(line)?.[1] ?? [])
      assert.deepEqual(found.toSorted(), keys.toSorted(), verb)
    }
  } finally {
    first.client.destroy()
    last.client.destroy()
    await last.server.kill()
    await rm(data, { recursive: true, force: true })
  }
})
