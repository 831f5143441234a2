import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectLegalHoldCommand,
  GetObjectRetentionCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  type ObjectLockRetentionMode,
  PutObjectCommand,
  type PutObjectCommandInput,
  PutObjectLegalHoldCommand,
  PutObjectRetentionCommand,
} from '@aws-sdk/client-s3'
import { refusal, useHarness } from './store.ts'

const harness = useHarness()
const later = (days: number): Date => new Date(Math.floor(Date.now() / 1000) * 1000 + days * 86_400_000)
const locked = '403 AccessDenied'
const nothing = 'nothing was refused'

async function put(input: Partial<PutObjectCommandInput> = {}) {
  const name = { Bucket: await harness().makeBucket({ versioning: 'enabled', hasObjectLock: true }), Key: 'k' }
  const { VersionId = '' } = await harness().client.send(new PutObjectCommand({ ...name, Body: 'x', ...input }))
  return { ...name, VersionId }
}

const retain = (target: object, Mode: ObjectLockRetentionMode | undefined, RetainUntilDate?: Date, bypass?: boolean) =>
  refusal(
    harness().client.send(
      new PutObjectRetentionCommand({
        ...(target as { Bucket: string; Key: string }),
        Retention: Mode === undefined ? {} : { Mode, RetainUntilDate },
        BypassGovernanceRetention: bypass,
      }),
    ),
  )

const remove = (target: { Bucket: string; Key: string; VersionId: string }, BypassGovernanceRetention?: boolean) =>
  refusal(harness().client.send(new DeleteObjectCommand({ ...target, BypassGovernanceRetention })))

test('a retained version stays; its key may be hidden, and governance let past', async () => {
  const until = later(5)
  const target = await put({ ObjectLockMode: 'GOVERNANCE', ObjectLockRetainUntilDate: until })
  const head = await harness().client.send(new HeadObjectCommand(target))
  assert.equal(head.ObjectLockMode, 'GOVERNANCE')
  assert.deepEqual(head.ObjectLockRetainUntilDate, until)
  assert.equal(await remove(target), locked)
  const { Bucket, Key, VersionId } = target
  const Objects = [{ Key, VersionId }]
  const many = await harness().client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }))
  assert.equal(many.Errors?.[0]?.Code, 'AccessDenied')
  const marker = await harness().client.send(new DeleteObjectCommand({ Bucket, Key }))
  assert.equal(marker.DeleteMarker, true)
  assert.equal(await remove(target, true), nothing)
})

test('nothing is retained until a time that has passed, whichever way it is made', async () => {
  const source = await put()
  const past = { ObjectLockMode: 'GOVERNANCE', ObjectLockRetainUntilDate: later(-1) } as const
  const name = { Bucket: source.Bucket, Key: 'new' }
  const copied = { ...name, ...past, CopySource: `${source.Bucket}/${source.Key}` }
  const refused = '400 InvalidArgument'
  const { client } = harness()
  assert.equal(await refusal(client.send(new PutObjectCommand({ ...name, ...past, Body: 'x' }))), refused)
  assert.equal(await refusal(client.send(new CopyObjectCommand(copied))), refused)
  assert.equal(await refusal(client.send(new CreateMultipartUploadCommand({ ...name, ...past }))), refused)
  assert.equal(await retain(source, 'GOVERNANCE', later(-1)), refused)
  const left = await client.send(new ListObjectsV2Command({ Bucket: source.Bucket }))
  assert.deepEqual(
    left.Contents?.map(({ Key }) => Key),
    [source.Key],
  )
})

test('compliance lets nobody past, and only grows', async () => {
  const target = await put({ ObjectLockMode: 'COMPLIANCE', ObjectLockRetainUntilDate: later(5) })
  assert.equal(await remove(target, true), locked)
  assert.equal(await retain(target, 'COMPLIANCE', later(4), true), locked)
  assert.equal(await retain(target, 'GOVERNANCE', later(9), true), locked)
  assert.equal(await retain(target, undefined, undefined, true), locked)
  const longer = later(6)
  assert.equal(await retain(target, 'COMPLIANCE', longer), nothing)
  const { Retention } = await harness().client.send(new GetObjectRetentionCommand(target))
  assert.deepEqual(Retention, { Mode: 'COMPLIANCE', RetainUntilDate: longer })
})

test('governance grows freely, and is loosened by whom may bypass it', async () => {
  const target = await put()
  assert.equal(
    await refusal(harness().client.send(new GetObjectRetentionCommand(target))),
    '404 NoSuchObjectLockConfiguration',
  )
  assert.equal(await retain(target, 'GOVERNANCE', later(3)), nothing)
  assert.equal(await retain(target, 'GOVERNANCE', later(4)), nothing)
  assert.equal(await retain(target, 'GOVERNANCE', later(2)), locked)
  assert.equal(await retain(target, 'COMPLIANCE', later(9)), locked)
  assert.equal(await retain(target, 'GOVERNANCE', later(2), true), nothing)
  assert.equal(await retain(target, 'GOVERNANCE', later(-1), true), '400 InvalidArgument')
  assert.equal(await retain(target, 'abc' as 'GOVERNANCE', later(2)), '400 MalformedXML')
  assert.equal(await retain(target, undefined, undefined, true), nothing)
  assert.equal(await remove(target), nothing)
})

test('a legal hold holds until it is taken away', async () => {
  const target = await put({ ObjectLockLegalHoldStatus: 'ON' })
  const hold = (Status: 'ON' | 'OFF') =>
    refusal(harness().client.send(new PutObjectLegalHoldCommand({ ...target, LegalHold: { Status } })))
  assert.equal(await remove(target, true), locked)
  const { LegalHold } = await harness().client.send(new GetObjectLegalHoldCommand(target))
  assert.equal(LegalHold?.Status, 'ON')
  assert.equal(await hold('abc' as 'ON'), '400 MalformedXML')
  assert.equal(await hold('OFF'), nothing)
  assert.equal(await remove(target), nothing)
})

test('a bucket without locks takes none, and half a retention is none', async () => {
  const name = { Bucket: await harness().makeBucket(), Key: 'k' }
  const { client } = harness()
  await client.send(new PutObjectCommand({ ...name, Body: 'x' }))
  assert.equal(await retain(name, 'GOVERNANCE', later(1)), '400 InvalidRequest')
  const held = client.send(new PutObjectLegalHoldCommand({ ...name, LegalHold: { Status: 'ON' } }))
  assert.equal(await refusal(held), '400 InvalidRequest')
  assert.equal(await refusal(client.send(new GetObjectRetentionCommand(name))), '400 InvalidRequest')
  const half = put({ ObjectLockMode: 'GOVERNANCE' })
  assert.equal(await refusal(half), '400 InvalidArgument')
})
