import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '#src/errors.ts'
import { cannedAcl } from './acl.ts'
import type { Bucket, PublicAccessBlock } from './bucket.ts'
import { parseBucketPolicy } from './policy-document.ts'
import { checkPublicAcl, checkPublicPolicy, isPublicBucket } from './public-access.ts'

const ann = { id: 'ann', displayName: 'Ann' }
const allow = (principal: unknown) =>
  JSON.stringify({
    Statement: { Effect: 'Allow', Principal: principal, Action: 's3:*', Resource: 'arn:aws:s3:::box/*' },
  })
const open = allow('*')
const named = allow({ AWS: 'bob' })
const block = (change: Partial<PublicAccessBlock>): Pick<Bucket, 'publicAccessBlock'> => ({
  publicAccessBlock: {
    blockPublicAcls: false,
    ignorePublicAcls: false,
    blockPublicPolicy: false,
    restrictPublicBuckets: false,
    ...change,
  },
})

const denied = (body: () => void) =>
  assert.throws(body, (error) => error instanceof Fault && error.code === 'AccessDenied')

test('what is blocked is refused if it is public, each kind by its own switch', () => {
  const acls = block({ blockPublicAcls: true })
  const policies = block({ blockPublicPolicy: true })
  denied(() => checkPublicAcl(acls, cannedAcl('public-read', ann)))
  checkPublicAcl(acls, cannedAcl('private', ann))
  denied(() => checkPublicPolicy(policies, parseBucketPolicy(open, 'box')))
  checkPublicPolicy(policies, parseBucketPolicy(named, 'box'))
  for (const bucket of [{}, policies]) checkPublicAcl(bucket, cannedAcl('public-read', ann))
  for (const bucket of [{}, acls]) checkPublicPolicy(bucket, parseBucketPolicy(open, 'box'))
})

test('a bucket is public by its ACL or by its policy', () => {
  const bucket: Bucket = {
    name: 'box',
    id: 1,
    owner: 'ann',
    created: 0,
    location: '',
    epoch: 1,
    state: 'active',
    versioning: 'off',
    acl: cannedAcl('private', ann),
    hasObjectLock: false,
    documents: {},
  }
  assert.equal(isPublicBucket(bucket), false)
  assert.equal(isPublicBucket({ ...bucket, acl: cannedAcl('authenticated-read', ann) }), true)
  assert.equal(isPublicBucket({ ...bucket, policy: open }), true)
  assert.equal(isPublicBucket({ ...bucket, policy: named }), false)
})
