import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault, type FaultCode } from '#src/errors.ts'
import { type Acl, groups, type Permission } from './access.ts'
import { aclWish, type CannedAcl, cannedAcl, isPublicAcl, permits } from './acl.ts'

const ann = { id: 'ann', displayName: 'Ann' }
const bob = { id: 'bob', displayName: 'Bob' }

const fails = (code: FaultCode, body: () => unknown) =>
  assert.throws(body, (error) => error instanceof Fault && error.code === code)

/** `account:PERMISSION`, in order. */
const shown = (acl: Acl) =>
  acl.grants.map(({ grantee, permission }) => {
    const name = grantee.kind === 'account' ? grantee.id : grantee.uri.slice(grantee.uri.lastIndexOf('/') + 1)
    return `${name}:${permission}`
  })

test('canned ACLs are the grants that S3 says they are', () => {
  const own = 'ann:FULL_CONTROL'
  const expected: Record<CannedAcl, string[]> = {
    private: [own],
    'public-read': ['AllUsers:READ', own],
    'public-read-write': ['AllUsers:READ', 'AllUsers:WRITE', own],
    'authenticated-read': ['AuthenticatedUsers:READ', own],
    'aws-exec-read': [own, '6aa5a366c34c1cbe25dc49211496e913e0351eb0e8c37aa3477e40942ec6b97c:READ'],
    'bucket-owner-read': [own, 'bob:READ'],
    'bucket-owner-full-control': [own, 'bob:FULL_CONTROL'],
    'log-delivery-write': ['LogDelivery:WRITE', 'LogDelivery:READ_ACP', own],
  }
  for (const [name, grants] of Object.entries(expected)) {
    const { canned } = aclWish((header) => (header === 'x-amz-acl' ? name : undefined)) ?? {}
    assert.deepEqual(shown(cannedAcl(canned ?? 'private', ann, bob)), grants, name)
  }
  assert.deepEqual(shown(cannedAcl('bucket-owner-read', ann, ann)), [own])
  assert.deepEqual(shown(cannedAcl('bucket-owner-full-control', ann)), [own])
})

test('headers ask for a canned ACL or for grants, not for both', () => {
  const wish = (headers: Record<string, string>) => aclWish((name) => headers[name])
  assert.equal(wish({}), undefined)
  assert.deepEqual(wish({ 'x-amz-acl': 'public-read' }), { canned: 'public-read' })
  assert.deepEqual(
    wish({
      'x-amz-grant-full-control': 'id=ann',
      'x-amz-grant-read': ` uri="${groups.allUsers}" , emailAddress = "a@b" ,id="x"`,
    }),
    {
      grants: [
        { grantee: { kind: 'uri', name: groups.allUsers }, permission: 'READ' },
        { grantee: { kind: 'email', name: 'a@b' }, permission: 'READ' },
        { grantee: { kind: 'id', name: 'x' }, permission: 'READ' },
        { grantee: { kind: 'id', name: 'ann' }, permission: 'FULL_CONTROL' },
      ],
    },
  )
  fails('InvalidArgument', () => wish({ 'x-amz-acl': 'public' }))
  fails('InvalidRequest', () => wish({ 'x-amz-acl': 'private', 'x-amz-grant-read': 'id=ann' }))
  for (const bad of ['', 'ann', 'name=ann', 'id=', '=ann', 'id=ann,', 'constructor=x', '__proto__=x']) {
    fails('InvalidArgument', () => wish({ 'x-amz-grant-read': bad }))
  }
})

test('a grant gives its permission, FULL_CONTROL all, to the account or to who is in the group', () => {
  const all: readonly Permission[] = ['READ', 'WRITE', 'READ_ACP', 'WRITE_ACP', 'FULL_CONTROL']
  const given = (acl: Acl, account: string | undefined, ignoresPublic = false) =>
    all.filter((permission) => permits(acl, account, permission, { ignoresPublic })).join(' ')
  const everything = all.join(' ')
  assert.equal(given(cannedAcl('private', ann), 'ann'), everything)
  assert.equal(given(cannedAcl('private', ann), 'bob'), '')
  assert.equal(given(cannedAcl('private', ann), undefined), '')
  assert.equal(given(cannedAcl('public-read', ann), undefined), 'READ')
  assert.equal(given(cannedAcl('public-read-write', ann), 'bob'), 'READ WRITE')
  assert.equal(given(cannedAcl('authenticated-read', ann), 'bob'), 'READ')
  assert.equal(given(cannedAcl('authenticated-read', ann), undefined), '')
  assert.equal(given(cannedAcl('log-delivery-write', ann), 'bob'), '')
  assert.equal(given(cannedAcl('public-read-write', ann), 'bob', true), '')
  assert.equal(given(cannedAcl('authenticated-read', ann), 'bob', true), '')
  assert.equal(given(cannedAcl('public-read', ann), 'ann', true), everything)
})

test('an ACL is public if a public group is in it', () => {
  const isPublic = (name: CannedAcl) => isPublicAcl(cannedAcl(name, ann, bob))
  for (const name of ['public-read', 'public-read-write', 'authenticated-read'] as const)
    assert.ok(isPublic(name), name)
  for (const name of ['private', 'bucket-owner-read', 'log-delivery-write', 'aws-exec-read'] as const) {
    assert.ok(!isPublic(name), name)
  }
})
