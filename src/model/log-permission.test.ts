import assert from 'node:assert/strict'
import { test } from 'node:test'
import { groups } from './access.ts'
import { guarded } from './authorization.ts'
import type { Bucket } from './bucket.ts'
import { admitsLogs } from './log-permission.ts'
import { parseBucketPolicy } from './policy-document.ts'

const bucketOf = (name: string, changes: Partial<Bucket> = {}): Bucket => ({
  name,
  id: 1,
  owner: 'ada',
  created: 0,
  location: '',
  epoch: 1,
  state: 'active',
  versioning: 'off',
  acl: { owner: 'ada', grants: [] },
  hasObjectLock: false,
  documents: {},
  ...changes,
})

const source = bucketOf('photos')

const statement = {
  Effect: 'Allow',
  Principal: { Service: 'logging.s3.amazonaws.com' },
  Action: 's3:PutObject',
  Resource: 'arn:aws:s3:::logs/photos*',
  Condition: { ArnLike: { 'aws:SourceArn': 'arn:aws:s3:::photos' }, StringEquals: { 'aws:SourceAccount': 'ada' } },
}

function admits(statements: readonly object[], changes: Partial<Bucket> = {}, prefix = 'photos/'): boolean {
  const policy =
    statements.length === 0 ? {} : { policy: JSON.stringify({ Version: '2012-10-17', Statement: statements }) }
  return admitsLogs(guarded(bucketOf('logs', { ...policy, ...changes }), parseBucketPolicy), source, prefix)
}

test('H4: a policy as AWS documents it lets the logging service in', () => {
  assert.equal(admits([statement]), true)
  assert.equal(admits([{ ...statement, Condition: undefined }].map((each) => JSON.parse(JSON.stringify(each)))), true)
})

test('H4: nothing less does: another service, action, prefix, source or account, nor everyone', () => {
  assert.equal(admits([]), false)
  for (const change of [
    { Principal: { Service: 'logging.s3.amazonaws.comkaboom' } },
    { Principal: { AWS: '*' } },
    { Principal: '*' },
    { Action: 's3:GetObject' },
    { Resource: 'arn:aws:s3:::logs/kaboom*' },
    { Condition: { ArnLike: { 'aws:SourceArn': 'arn:aws:s3:::kaboom' } } },
    { Condition: { StringEquals: { 'aws:SourceAccount': 'kaboom' } } },
  ]) {
    assert.equal(admits([{ ...statement, ...change }]), false, JSON.stringify(change))
  }
  assert.equal(admits([statement], {}, 'other/'), false)
})

test('H4: a denial wins, also one for everyone; a policy that cannot be read lets nobody in', () => {
  const denial = { Effect: 'Deny', Action: 's3:*', Resource: 'arn:aws:s3:::logs/*' }
  assert.equal(admits([statement, { ...denial, Principal: '*' }]), false)
  assert.equal(admits([statement, { ...denial, Principal: { Service: 'logging.s3.amazonaws.com' } }]), false)
  assert.equal(admits([statement, { ...denial, Principal: { AWS: '123456789012' } }]), true)
  assert.equal(admits([], { policy: '{' }), false)
})

test('H4: the log delivery group may write by ACL, where ACLs count and no policy denies it', () => {
  const grant = { grantee: { kind: 'group', uri: groups.logDelivery }, permission: 'WRITE' } as const
  const acl = { owner: 'ada', grants: [grant] }
  assert.equal(admits([], { acl }), true)
  assert.equal(admits([], { acl: { ...acl, grants: [{ ...grant, permission: 'READ_ACP' }] } }), false)
  assert.equal(admits([], { acl, ownership: 'BucketOwnerEnforced' }), false)
  const denial = { Effect: 'Deny', Principal: '*', Action: 's3:*', Resource: 'arn:aws:s3:::logs/*' }
  assert.equal(admits([denial], { acl }), false)
})
