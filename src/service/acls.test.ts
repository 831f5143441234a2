import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { Fault, type FaultCode } from '#src/errors.ts'
import { Namespace } from '#src/metadata/namespace.ts'
import { type Acl, groups } from '#src/model/access.ts'
import { type CannedAcl, cannedAcl } from '#src/model/acl.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { anonymous, type Caller } from '#src/model/identity.ts'
import { MemoryStore } from '#src/store/memory/memory-store.ts'
import { realWorld } from '#src/world.ts'
import { Acls } from './acls.ts'
import { NamespaceIdentity } from './identity.ts'

const identity = new NamespaceIdentity({
  store: new MemoryStore({ world: realWorld }),
  world: realWorld,
  namespace: new Namespace(),
})
const acls = new Acls(identity)
const callers = new Map<string, Caller>()

before(async () => {
  for (const id of ['ann', 'bob']) {
    const account = await identity.createAccount({ id, displayName: id.toUpperCase(), email: `${id}@example.com` })
    callers.set(id, { kind: 'account', account, accessKeyId: 'key' })
  }
})

const by = (id: string): Caller => callers.get(id) ?? anonymous

const box = (change: Partial<Bucket> = {}): Bucket => ({
  name: 'box',
  id: 1,
  owner: 'ann',
  created: 0,
  location: '',
  epoch: 1,
  state: 'active',
  versioning: 'off',
  acl: cannedAcl('private', { id: 'ann', displayName: 'ANN' }),
  hasObjectLock: false,
  documents: {},
  ...change,
})

const fails = async (code: FaultCode, promise: Promise<unknown>) =>
  await assert.rejects(promise, (error) => error instanceof Fault && error.code === code)

const shown = ({ acl, owner }: { acl: Acl; owner: string }) =>
  `${owner}=${acl.owner} ${acl.grants.map((each) => `${each.grantee.kind === 'account' ? each.grantee.id : 'group'}:${each.permission}`).join(' ')}`

test('a new object is its writer’s, but where the bucket’s ownership says otherwise', async () => {
  const made = async (ownership: Bucket['ownership'], writer: string, canned?: CannedAcl) => {
    const bucket = box(ownership === undefined ? {} : { ownership })
    return shown(await acls.ofNewObject(bucket, by(writer), canned === undefined ? undefined : { canned }))
  }
  assert.equal(await made(undefined, 'ann'), 'ann=ann ann:FULL_CONTROL')
  assert.equal(await made(undefined, 'bob'), 'bob=bob bob:FULL_CONTROL')
  assert.equal(
    await made('ObjectWriter', 'bob', 'bucket-owner-full-control'),
    'bob=bob bob:FULL_CONTROL ann:FULL_CONTROL',
  )
  assert.equal(await made('BucketOwnerPreferred', 'bob', 'bucket-owner-full-control'), 'ann=ann ann:FULL_CONTROL')
  assert.equal(await made('BucketOwnerPreferred', 'bob', 'private'), 'bob=bob bob:FULL_CONTROL')
  assert.equal(await made('BucketOwnerPreferred', 'bob'), 'bob=bob bob:FULL_CONTROL')
  assert.equal(await made('BucketOwnerEnforced', 'bob'), 'ann=ann ann:FULL_CONTROL')
  assert.equal(await made('BucketOwnerEnforced', 'bob', 'bucket-owner-full-control'), 'ann=ann ann:FULL_CONTROL')
  await fails('AccessControlListNotSupported', made('BucketOwnerEnforced', 'ann', 'private'))
  assert.equal(await made(undefined, 'nobody'), 'ann=ann ann:FULL_CONTROL')
  assert.equal(await made(undefined, 'nobody', 'public-read'), 'ann=ann group:READ ann:FULL_CONTROL')
})

test('where ACLs are off none is taken', async () => {
  const bucket = box({ ownership: 'BucketOwnerEnforced' })
  await fails('AccessControlListNotSupported', acls.ofBucket(bucket, { canned: 'private' }))
  await fails('AccessControlListNotSupported', acls.ofObject(bucket, 'ann', { canned: 'private' }))
  await fails('AccessControlListNotSupported', acls.ofObject(bucket, 'ann', { grants: [] }))
  const owner = { id: 'ann', displayName: 'ANN' }
  await fails(
    'InvalidBucketAclWithObjectOwnership',
    acls.ofNewBucket(owner, 'BucketOwnerEnforced', { canned: 'public-read' }),
  )
  await acls.ofNewBucket(owner, 'BucketOwnerEnforced', undefined)
})

test('where public ACLs are blocked none is taken', async () => {
  const publicAccessBlock = {
    blockPublicAcls: true,
    ignorePublicAcls: false,
    blockPublicPolicy: false,
    restrictPublicBuckets: false,
  }
  const bucket = box({ publicAccessBlock })
  for (const canned of ['public-read', 'public-read-write', 'authenticated-read'] as const) {
    await fails('AccessDenied', acls.ofBucket(bucket, { canned }))
    await fails('AccessDenied', acls.ofObject(bucket, 'ann', { canned }))
    await fails('AccessDenied', acls.ofNewObject(bucket, by('ann'), { canned }))
    await acls.ofNewObject(box({ publicAccessBlock: { ...publicAccessBlock, blockPublicAcls: false } }), by('ann'), {
      canned,
    })
  }
  await acls.ofNewObject(bucket, by('ann'), { canned: 'private' })
})

test('grants name accounts by id and address, and groups; whoever is not there is refused', async () => {
  const grant = (kind: 'id' | 'uri' | 'email', name: string) => ({
    grantee: { kind, name },
    permission: 'READ' as const,
  })
  const made = async (...grants: ReturnType<typeof grant>[]) => await acls.ofBucket(box(), { grants })
  assert.deepEqual(
    (await made(grant('id', 'bob'), grant('email', 'ANN@example.com'), grant('uri', groups.allUsers))).grants,
    [
      { grantee: { kind: 'group', uri: groups.allUsers }, permission: 'READ' },
      { grantee: { kind: 'account', id: 'bob', displayName: 'BOB' }, permission: 'READ' },
      { grantee: { kind: 'account', id: 'ann', displayName: 'ANN' }, permission: 'READ' },
    ],
  )
  assert.deepEqual(await made(), { owner: 'ann', grants: [] })
  await fails('InvalidArgument', made(grant('id', '_foo')))
  await fails('InvalidArgument', made(grant('uri', 'http://example.com/')))
  await fails('UnresolvableGrantByEmailAddress', made(grant('email', 'nobody@example.com')))
  await fails('InvalidRequest', made(...Array.from({ length: 101 }, () => grant('id', 'bob'))))
})

test("a grant to the bucket's owner has the owner's name, which the bucket's own ACL does not keep", async () => {
  const { acl } = await acls.ofNewObject(box(), by('bob'), { canned: 'bucket-owner-read' })
  assert.deepEqual(
    acl.grants.map(({ grantee }) => grantee),
    [
      { kind: 'account', id: 'bob', displayName: '' },
      { kind: 'account', id: 'ann', displayName: 'ANN' },
    ],
  )
})
