import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Fault } from '#src/errors.ts'
import { type CannedAcl, cannedAcl } from '#src/model/acl.ts'
import { knownActions, ruleOf } from '#src/model/actions.ts'
import type { Bucket, Ownership } from '#src/model/bucket.ts'
import { anonymous, type Caller } from '#src/model/identity.ts'
import { conditionName } from '#src/model/policy-variables.ts'
import type { ObjectVersion, Tags } from '#src/model/version.ts'
import { realWorld } from '#src/world.ts'
import { AccessControl } from './access.ts'

const people = new Map(['ann', 'bob', 'cat'].map((id) => [id, { id, displayName: id }]))
const person = (id: string) => people.get(id) ?? { id, displayName: id }

const by = (id: string, isAdministrator = false): Caller => ({
  kind: 'account',
  account: { ...person(id), email: '', isAdministrator },
  accessKeyId: 'key',
})
const root = by('root', true)

const box = (change: Partial<Bucket> & { canned?: CannedAcl } = {}): Bucket => {
  const { canned = 'private', ...rest } = change
  return {
    name: 'box',
    id: 1,
    owner: 'ann',
    created: 0,
    location: '',
    epoch: 1,
    state: 'active',
    versioning: 'off',
    acl: cannedAcl(canned, person('ann')),
    hasObjectLock: false,
    documents: {},
    ...rest,
  }
}

const object = (owner: string, canned: CannedAcl = 'private', tags: Record<string, string> = {}): ObjectVersion => ({
  kind: 'object',
  stamp: 1n,
  isNull: true,
  modified: 0,
  owner,
  vector: [],
  size: 0,
  etag: '',
  content: { kind: 'inline' },
  storageClass: 'STANDARD',
  headers: {},
  metadata: new Map(),
  tags: { stamp: 1n, value: new Map(Object.entries(tags)) },
  acl: { stamp: 1n, value: cannedAcl(canned, person(owner), person('ann')) },
})

const allow = (change: object = {}) => ({
  Effect: 'Allow',
  Principal: '*',
  Action: 's3:*',
  Resource: ['arn:aws:s3:::box', 'arn:aws:s3:::box/*'],
  ...change,
})
const deny = (change: object = {}) => allow({ Effect: 'Deny', ...change })
const policy = (...Statement: object[]) => JSON.stringify({ Version: '2012-10-17', Statement })

const block = (change: Partial<NonNullable<Bucket['publicAccessBlock']>>) => ({
  blockPublicAcls: false,
  ignorePublicAcls: false,
  blockPublicPolicy: false,
  restrictPublicBuckets: false,
  ...change,
})

interface Asked {
  readonly bucket?: Bucket
  readonly caller: Caller
  readonly action: string
  readonly version?: ObjectVersion | undefined
  readonly key?: string
  readonly values?: Record<string, string>
  /** The row that the object's transaction read, where it is not the one that was judged first. */
  readonly later?: Bucket
  readonly isNew?: boolean
  readonly requestTags?: Tags
}

/** `denied` at once or by the guard, in the order in which the server asks. */
async function may(asked: Asked): Promise<boolean> {
  const {
    bucket = box(),
    caller,
    action,
    version,
    key = 'key',
    values = {},
    later = bucket,
    isNew = false,
    requestTags,
  } = asked
  const access = new AccessControl({ buckets: { get: async () => bucket }, world: realWorld })
  const map = new Map(Object.entries(values).map(([name, value]) => [conditionName(name), [value]]))
  try {
    const guard = await access.authorize({
      caller,
      action,
      bucket: 'box',
      values: map,
      isNew,
      ...(requestTags !== undefined && { requestTags }),
      ...(ruleOf(action).scope === 'object' ? { key } : {}),
    })
    guard(version, later)
    return true
  } catch (error) {
    assert.ok(error instanceof Fault && error.code === 'AccessDenied', String(error))
    return false
  }
}

test('I9: on a private bucket strangers may do nothing, its owner and the administrator everything', async () => {
  for (const action of knownActions) {
    const isOpen = ruleOf(action).scope === 'service'
    for (const version of [undefined, object('ann')]) {
      assert.equal(await may({ caller: anonymous, action, version }), false, `anonymous ${action}`)
      assert.equal(await may({ caller: by('bob'), action, version }), isOpen, `bob ${action}`)
      assert.equal(await may({ caller: by('ann'), action, version }), true, `ann ${action}`)
      assert.equal(await may({ caller: root, action, version }), true, `root ${action}`)
    }
  }
})

test('I9: an action that no rule knows is refused as a mistake', async () => {
  const access = new AccessControl({ buckets: { get: async () => box() }, world: realWorld })
  for (const action of ['', 's3:Nothing', 's3:getobject', 's3:*', 'GetObject']) {
    const asked = access.authorize({ caller: by('ann'), action, bucket: 'box', values: new Map() })
    await assert.rejects(asked, (error) => !(error instanceof Fault), action)
  }
})

test('a bucket that is not there is told after the caller is known, and to everyone', async () => {
  const get = async () => {
    throw new Fault('NoSuchBucket')
  }
  const access = new AccessControl({ buckets: { get }, world: realWorld })
  for (const caller of [anonymous, by('bob')]) {
    const asked = access.authorize({ caller, action: 's3:GetObject', bucket: 'none', key: 'x', values: new Map() })
    await assert.rejects(asked, (error) => error instanceof Fault && error.code === 'NoSuchBucket')
  }
})

test('what an ACL of a bucket gives', async () => {
  const acts = async (canned: CannedAcl, caller: Caller) => {
    const bucket = box({ canned })
    const all = [
      'ListBucket',
      'ListBucketVersions',
      'PutObject',
      'DeleteObject',
      'DeleteObjectVersion',
      'GetBucketAcl',
      'PutBucketAcl',
      'GetBucketPolicy',
      'DeleteBucket',
    ]
    const given: string[] = []
    for (const name of all)
      if (await may({ bucket, caller, action: `s3:${name}`, version: object('ann') })) given.push(name)
    return given.join(' ')
  }
  assert.equal(await acts('public-read', anonymous), 'ListBucket ListBucketVersions')
  assert.equal(await acts('authenticated-read', anonymous), '')
  assert.equal(await acts('authenticated-read', by('bob')), 'ListBucket ListBucketVersions')
  assert.equal(await acts('public-read-write', anonymous), 'ListBucket ListBucketVersions PutObject DeleteObject')
  assert.equal(await acts('log-delivery-write', by('bob')), '')
})

test('what an ACL of an object gives, whatever the bucket’s', async () => {
  const read = async (canned: CannedAcl, caller: Caller, bucket = box()) =>
    await may({ bucket, caller, action: 's3:GetObject', version: object('ann', canned) })
  assert.equal(await read('public-read', anonymous), true)
  assert.equal(await read('authenticated-read', anonymous), false)
  assert.equal(await read('authenticated-read', by('bob')), true)
  assert.equal(await read('private', by('bob'), box({ canned: 'public-read-write' })), false)
  const acl = async (action: string, canned: CannedAcl) =>
    await may({ caller: by('bob'), action, version: object('ann', canned) })
  assert.equal(await acl('s3:GetObjectAcl', 'public-read-write'), false)
  assert.equal(await acl('s3:PutObjectTagging', 'public-read-write'), false)
})

test('an object that another account wrote is that account’s, unless the bucket takes ownership', async () => {
  const asked = async (caller: Caller, action: string, ownership?: Ownership, canned: CannedAcl = 'private') =>
    await may({
      bucket: box(ownership === undefined ? {} : { ownership }),
      caller,
      action,
      version: object('bob', canned),
    })
  for (const action of ['s3:GetObject', 's3:GetObjectAcl', 's3:PutObjectAcl']) {
    assert.equal(await asked(by('bob'), action), true, action)
    assert.equal(await asked(by('ann'), action), false, action)
    assert.equal(await asked(by('ann'), action, 'BucketOwnerPreferred'), false, action)
    assert.equal(await asked(by('ann'), action, 'BucketOwnerEnforced'), true, action)
    assert.equal(await asked(by('bob'), action, 'BucketOwnerEnforced'), false, action)
    assert.equal(await asked(by('ann'), action, undefined, 'bucket-owner-full-control'), true, action)
  }
  assert.equal(await asked(by('ann'), 's3:DeleteObject'), true)
  assert.equal(await asked(by('ann'), 's3:GetObject', undefined, 'bucket-owner-read'), true)
  assert.equal(await asked(by('ann'), 's3:GetObjectAcl', undefined, 'bucket-owner-read'), false)
  // The policy of a bucket gives only what is the bucket owner's.
  const bucket = box({ policy: policy(allow()) })
  assert.equal(await may({ bucket, caller: by('cat'), action: 's3:GetObject', version: object('bob') }), false)
  assert.equal(await may({ bucket, caller: by('cat'), action: 's3:GetObject', version: object('ann') }), true)
})

test('an owner without grants keeps its ACL', async () => {
  const version = { ...object('bob'), acl: { stamp: 1n, value: { owner: 'bob', grants: [] } } }
  const bobs = async (action: string) => await may({ caller: by('bob'), action, version })
  assert.deepEqual(
    [await bobs('s3:GetObjectAcl'), await bobs('s3:PutObjectAcl'), await bobs('s3:GetObject')],
    [true, true, false],
  )
})

test('where ownership is enforced ACLs give nothing', async () => {
  const bucket = box({ ownership: 'BucketOwnerEnforced', canned: 'public-read-write' })
  for (const action of ['s3:ListBucket', 's3:PutObject', 's3:GetObject']) {
    assert.equal(await may({ bucket, caller: by('bob'), action, version: object('ann', 'public-read') }), false, action)
  }
  // Also where the guard is asked, since the key's absence may be told.
  const listed = { ...bucket, policy: policy(allow({ Action: 's3:ListBucket' })) }
  const read = { bucket: listed, caller: by('bob'), action: 's3:GetObject' }
  assert.equal(await may({ ...read, version: object('ann', 'public-read') }), false)
  assert.equal(await may({ ...read, version: undefined }), true)
})

test('who may not list the bucket is not told that a key is missing', async () => {
  const missing = async (caller: Caller, change: Parameters<typeof box>[0], key = 'public/x') =>
    await may({ bucket: box(change), caller, action: 's3:GetObject', version: undefined, key })
  assert.equal(await missing(by('bob'), {}), false)
  assert.equal(await missing(by('bob'), { policy: policy(allow({ Action: 's3:GetObject' })) }), false)
  assert.equal(await missing(anonymous, { canned: 'public-read' }), true)
  const listed = policy(allow({ Action: 's3:ListBucket', Condition: { StringLike: { 's3:prefix': 'public/*' } } }))
  assert.equal(await missing(by('bob'), { policy: listed }), true)
  assert.equal(await missing(by('bob'), { policy: listed }, 'private/x'), false)
  assert.equal(await missing(by('ann'), {}), true)
  assert.equal(await missing(by('ann'), { policy: policy(deny({ Action: 's3:ListBucket' })) }), false)
  const tagging = { bucket: box({ policy: policy(allow({ Action: 's3:GetObjectTagging' })) }), caller: by('bob') }
  assert.equal(await may({ ...tagging, action: 's3:GetObjectTagging', version: undefined }), false)
  assert.equal(await may({ ...tagging, action: 's3:GetObjectTagging', version: object('ann') }), true)
})

test('a policy reaches the bucket or its objects, as its resources say', async () => {
  const onBucket = box({ policy: policy(allow({ Resource: 'arn:aws:s3:::box' })) })
  const onObjects = box({ policy: policy(allow({ Resource: 'arn:aws:s3:::box/a*' })) })
  const put = async (bucket: Bucket, key: string) =>
    await may({ bucket, caller: by('bob'), action: 's3:PutObject', key })
  assert.equal(await put(onBucket, 'a'), false)
  assert.equal(await put(onObjects, 'abc'), true)
  assert.equal(await put(onObjects, 'bc'), false)
  assert.equal(await may({ bucket: onBucket, caller: by('bob'), action: 's3:ListBucket' }), true)
  assert.equal(await may({ bucket: onObjects, caller: by('bob'), action: 's3:ListBucket' }), false)
})

test('I9: a Deny holds against ACLs, ownership and the owner, but for its way back to the policy', async () => {
  const bucket = box({ policy: policy(deny()), canned: 'public-read-write' })
  for (const action of knownActions) {
    const rule = ruleOf(action)
    if (rule.scope === 'service') continue
    for (const version of [undefined, object('ann', 'public-read')]) {
      assert.equal(await may({ bucket, caller: by('bob'), action, version }), false, action)
      assert.equal(await may({ bucket, caller: by('ann'), action, version }), rule.isOfPolicy, action)
    }
  }
  const way = ['s3:GetBucketPolicy', 's3:PutBucketPolicy', 's3:DeleteBucketPolicy']
  assert.deepEqual([...knownActions].filter((each) => ruleOf(each).isOfPolicy).sort(), way.sort())
})

test('I9: a policy that cannot be read denies', async () => {
  const bucket = box({ policy: '{"Statement": 7}', canned: 'public-read' })
  assert.equal(await may({ bucket, caller: by('ann'), action: 's3:ListBucket' }), false)
  assert.equal(await may({ bucket, caller: by('bob'), action: 's3:ListBucket' }), false)
  assert.equal(await may({ bucket, caller: by('ann'), action: 's3:DeleteBucketPolicy' }), true)
})

test('tags of the object decide once it is read', async () => {
  const condition = { StringEquals: { 's3:ExistingObjectTag/security': 'public' } }
  const bucket = box({ policy: policy(allow({ Condition: condition })) })
  const read = async (tags: Record<string, string>, action = 's3:GetObject') =>
    await may({ bucket, caller: by('bob'), action, version: object('ann', 'private', tags) })
  assert.equal(await read({ security: 'public' }), true)
  assert.equal(await read({ security: 'private' }), false)
  assert.equal(await read({ Security: 'public' }), false)
  assert.equal(await read({ security: 'public' }, 's3:GetObjectTagging'), true)
  assert.equal(await read({ security: 'private' }, 's3:GetObjectTagging'), false)
  // What the request claims about existing tags counts for nothing.
  const claimed = { 's3:ExistingObjectTag/security': 'public' }
  assert.equal(
    await may({ bucket, caller: by('bob'), action: 's3:GetObject', version: object('ann'), values: claimed }),
    false,
  )

  const denying = box({ canned: 'public-read', policy: policy(deny({ Condition: condition })) })
  const asked = { bucket: denying, caller: by('ann'), action: 's3:GetObject' }
  assert.equal(await may({ ...asked, version: object('ann', 'private', { security: 'public' }) }), false)
  assert.equal(await may({ ...asked, version: object('ann') }), true)
})

test('tags that a document asks for are judged; those of a header do not pass for them', async () => {
  const condition = { StringEquals: { 's3:RequestObjectTag/security': 'public' } }
  const bucket = box({ policy: policy(allow({ Condition: condition })) })
  const put = { bucket, caller: by('bob'), action: 's3:PutObjectTagging', version: object('ann') }
  const tags = (value: string): Tags => new Map([['security', value]])
  const claimed = { 's3:RequestObjectTag/security': 'public' }
  assert.equal(await may({ ...put, requestTags: tags('public') }), true)
  assert.equal(await may({ ...put, requestTags: tags('private') }), false)
  assert.equal(await may({ ...put, requestTags: tags('private'), values: claimed }), false)
  assert.equal(await may({ ...put, requestTags: new Map(), values: claimed }), false)
  assert.equal(await may(put), false)
  const keys = { 'ForAllValues:StringEquals': { 's3:RequestObjectTagKeys': ['a', 'b'] } }
  const limited = { ...put, bucket: box({ policy: policy(allow({ Condition: keys })) }) }
  assert.equal(await may({ ...limited, requestTags: new Map([['a', '1']]) }), true)
  assert.equal(await may({ ...limited, requestTags: new Map([['c', '1']]) }), false)
})

test('about an object that is yet to be made the answer is whole at once', async () => {
  const access = (bucket: Bucket) => new AccessControl({ buckets: { get: async () => bucket }, world: realWorld })
  const condition = { StringEquals: { 's3:ExistingObjectTag/security': 'public' } }
  const asks = async (change: object) =>
    await access(box({ policy: policy(allow(change)) })).authorize({
      caller: by('bob'),
      action: 's3:PutObjectTagging',
      bucket: 'box',
      key: 'key',
      isNew: true,
      values: new Map(),
    })
  await assert.rejects(asks({ Condition: condition }), (error) => error instanceof Fault)
  await asks({ Action: 's3:PutObjectTagging' })
  const owner = { caller: by('ann'), isNew: true, version: undefined }
  for (const action of ['s3:PutObjectAcl', 's3:PutObjectTagging', 's3:PutObjectRetention']) {
    assert.equal(await may({ ...owner, action }), true)
    assert.equal(await may({ ...owner, caller: by('bob'), action }), false)
  }
})

test('the public-access block shuts what ACLs and public policies open, and nothing else', async () => {
  const acls = box({ canned: 'public-read', publicAccessBlock: block({ ignorePublicAcls: true }) })
  assert.equal(await may({ bucket: acls, caller: by('bob'), action: 's3:ListBucket' }), false)
  assert.equal(
    await may({ bucket: acls, caller: by('bob'), action: 's3:GetObject', version: object('ann', 'public-read') }),
    false,
  )
  assert.equal(
    await may({ bucket: acls, caller: by('ann'), action: 's3:GetObject', version: object('ann', 'public-read') }),
    true,
  )

  const restricted = { publicAccessBlock: block({ restrictPublicBuckets: true }) }
  const open = box({ ...restricted, policy: policy(allow()) })
  assert.equal(await may({ bucket: open, caller: anonymous, action: 's3:GetObject', version: object('ann') }), false)
  assert.equal(await may({ bucket: open, caller: by('bob'), action: 's3:ListBucket' }), false)
  assert.equal(await may({ bucket: open, caller: by('ann'), action: 's3:ListBucket' }), true)
  const named = box({ ...restricted, policy: policy(allow({ Principal: { AWS: 'bob' } })) })
  assert.equal(await may({ bucket: named, caller: by('bob'), action: 's3:ListBucket' }), true)
})

test('conditions know who asks, and when', async () => {
  const seen = async (condition: object, caller: Caller = by('bob')) =>
    await may({ bucket: box({ policy: policy(allow({ Condition: condition })) }), caller, action: 's3:ListBucket' })
  assert.equal(await seen({ StringEquals: { 'aws:PrincipalAccount': 'bob' } }), true)
  assert.equal(await seen({ StringEquals: { 'aws:PrincipalAccount': 'bob' } }, anonymous), false)
  assert.equal(await seen({ ArnLike: { 'aws:PrincipalArn': 'arn:aws:iam::bob:*' } }), true)
  assert.equal(await seen({ Null: { 'aws:PrincipalArn': 'true' } }, anonymous), true)
  assert.equal(await seen({ DateGreaterThan: { 'aws:CurrentTime': '2026-01-01T00:00:00Z' } }), true)
  assert.equal(await seen({ NumericLessThan: { 'aws:EpochTime': '1767225600' } }), false)
})

test('C22: a bucket that changed, or is another one, when the object is touched is judged anew', async () => {
  const put = { caller: by('bob'), action: 's3:PutObject' }
  const open = box({ policy: policy(allow()) })
  assert.equal(await may({ ...put, bucket: open }), true)
  assert.equal(await may({ ...put, bucket: open, later: box() }), false)
  assert.equal(
    await may({
      ...put,
      caller: by('ann'),
      later: box({ id: 2, owner: 'cat', acl: cannedAcl('private', person('cat')) }),
    }),
    false,
  )
  assert.equal(await may({ ...put, caller: by('ann'), later: box() }), true)
})

test('I9: whatever the settings, who is neither owner nor named gets nothing that anonymous would not get by a group', async () => {
  const canned = fc.constantFrom<CannedAcl>('private', 'public-read', 'public-read-write', 'bucket-owner-full-control')
  const ownership = fc.constantFrom<Ownership>('ObjectWriter', 'BucketOwnerPreferred', 'BucketOwnerEnforced')
  const settings = fc.record({
    canned,
    ownership,
    objectAcl: canned,
    objectOwner: fc.constantFrom('ann', 'bob'),
    action: fc.constantFrom(...knownActions).filter((each) => ruleOf(each).scope !== 'service'),
    isThere: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(settings, async ({ objectAcl, objectOwner, action, isThere, ...change }) => {
      const version = isThere ? object(objectOwner, objectAcl) : undefined
      const asked = { bucket: box(change), action, version }
      assert.equal(await may({ ...asked, caller: by('cat') }), await may({ ...asked, caller: anonymous }))
      // A Deny for everyone shuts it for everyone; blocks never open anything.
      if (!ruleOf(action).isOfPolicy) {
        assert.equal(
          await may({ ...asked, bucket: box({ ...change, policy: policy(deny()) }), caller: by('ann') }),
          false,
        )
      }
      const blocked = box({
        ...change,
        publicAccessBlock: block({ ignorePublicAcls: true, restrictPublicBuckets: true }),
      })
      assert.equal(await may({ ...asked, bucket: blocked, caller: anonymous }), false)
    }),
    { numRuns: 1000 },
  )
})
