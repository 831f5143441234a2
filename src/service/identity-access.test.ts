import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Fault } from '#src/errors.ts'
import { cannedAcl } from '#src/model/acl.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { Caller } from '#src/model/identity.ts'
import { type Policy, parseIdentityPolicy, parseTrustPolicy } from '#src/model/policy-document.ts'
import type { Principal } from '#src/model/principal.ts'
import { realWorld } from '#src/world.ts'
import { AccessControl } from './access.ts'

type Says = 'allow' | 'deny' | 'nothing'

const says = fc.constantFrom<Says>('allow', 'deny', 'nothing')
const limit = fc.constantFrom<Says | 'absent'>('allow', 'deny', 'nothing', 'absent')

const statement = (what: Says, more: object): object[] =>
  what === 'nothing'
    ? [{ Effect: 'Allow', Action: 's3:GetBucketLocation', ...more }]
    : [{ Effect: what === 'allow' ? 'Allow' : 'Deny', Action: 's3:PutBucketTagging', ...more }]

const document = (statements: object[]): string => JSON.stringify({ Version: '2012-10-17', Statement: statements })
const identityPolicy = (what: Says): Policy => parseIdentityPolicy(document(statement(what, { Resource: '*' })))

const userArn = 'arn:aws:iam::ann:user/team/eve'
const roleArn = 'arn:aws:iam::ann:role/worker'
const sessionArn = 'arn:aws:sts::ann:assumed-role/worker/night'

/** Whom the bucket's policy names. */
const naming = fc.constantFrom('self', 'role', 'everyone', 'account', 'other')
const principals = (kind: 'user' | 'role') => ({
  self: kind === 'user' ? userArn : sessionArn,
  role: roleArn,
  everyone: '*',
  account: 'arn:aws:iam::ann:root',
  other: 'arn:aws:iam::ann:user/team/adam',
})

interface Case {
  readonly kind: 'user' | 'role'
  readonly owner: 'ann' | 'bob'
  readonly identity: Says
  readonly boundary: Says | 'absent'
  readonly session: Says | 'absent'
  readonly resource: Says
  readonly named: keyof ReturnType<typeof principals>
}

function callerOf({ kind, identity, boundary, session }: Case): Caller {
  const principal: Principal = {
    kind,
    arn: kind === 'user' ? userArn : sessionArn,
    ...(kind === 'role' && { roleArn }),
    id: 'id',
    name: 'eve',
    tags: new Map(),
    identity: [identityPolicy(identity)],
    ...(boundary !== 'absent' && { boundary: identityPolicy(boundary) }),
    ...(session !== 'absent' && { session: identityPolicy(session) }),
    isTemporary: kind === 'role',
  }
  const account = { id: 'ann', displayName: 'ann', email: '', isAdministrator: false }
  return { kind: 'account', account, accessKeyId: 'key', principal }
}

async function isAllowed(each: Case): Promise<boolean> {
  const policy = document(
    statement(each.resource, { Principal: { AWS: principals(each.kind)[each.named] }, Resource: 'arn:aws:s3:::box' }),
  )
  const bucket: Bucket = {
    name: 'box',
    id: 1,
    owner: each.owner,
    created: 0,
    location: '',
    epoch: 1,
    state: 'active',
    versioning: 'off',
    acl: cannedAcl('private', { id: each.owner, displayName: '' }),
    hasObjectLock: false,
    documents: {},
    policy,
  }
  const access = new AccessControl({ buckets: { get: async () => bucket }, world: realWorld })
  try {
    const asked = { caller: callerOf(each), action: 's3:PutBucketTagging', bucket: 'box', values: new Map() }
    const guard = await access.authorize(asked)
    guard(undefined, bucket)
    return true
  } catch (error) {
    assert.ok(error instanceof Fault && error.code === 'AccessDenied')
    return false
  }
}

/** Read from AWS's own description, and written apart from the code. */
function shouldBeAllowed({ kind, owner, identity, boundary, session, resource, named }: Case): boolean {
  const isNamed = named !== 'other' && !(named === 'role' && kind === 'user')
  if (identity === 'deny' || boundary === 'deny' || session === 'deny') return false
  if (resource === 'deny' && isNamed) return false
  const withinLimits = (boundary === 'allow' || boundary === 'absent') && (session === 'allow' || session === 'absent')
  const byIdentity = identity === 'allow' && withinLimits
  const byResource = resource === 'allow' && isNamed
  if (owner === 'bob') return byIdentity && byResource
  if (byIdentity) return true
  if (!byResource) return false
  if (named === 'self') return true
  return (named === 'role' || named === 'everyone') && withinLimits
}

test('I10: identity, boundary, session and bucket policy decide together as AWS says', async () => {
  const cases = fc.record({
    kind: fc.constantFrom('user' as const, 'role' as const),
    owner: fc.constantFrom('ann' as const, 'bob' as const),
    identity: says,
    boundary: limit,
    session: limit,
    resource: says,
    named: naming as fc.Arbitrary<Case['named']>,
  })
  let allowed = 0
  await fc.assert(
    fc.asyncProperty(cases, async (each) => {
      const expected = shouldBeAllowed(each)
      if (expected) allowed++
      assert.equal(await isAllowed(each), expected)
    }),
    { numRuns: 2_000 },
  )
  assert.ok(allowed > 50, 'some are allowed')
})

test('I10: the boundary and the session bound what a user asks of its own account too', async () => {
  const access = new AccessControl({ buckets: { get: async () => assert.fail() }, world: realWorld })
  const base = { kind: 'user', owner: 'ann', resource: 'nothing', named: 'self' } as const
  const may = async (each: Omit<Case, keyof typeof base>): Promise<boolean> => {
    const { principal } = callerOf({ ...base, ...each }) as Extract<Caller, { kind: 'account' }>
    const account = { id: 'ann', displayName: 'ann', email: '', isAdministrator: true }
    assert.ok(principal !== undefined)
    try {
      const caller = { kind: 'account', account, accessKeyId: 'key', principal } as const
      access.authorizeQuery({ caller, action: 's3:PutBucketTagging', resource: '*', values: new Map() })
      return true
    } catch {
      return false
    }
  }
  assert.equal(await may({ identity: 'allow', boundary: 'absent', session: 'absent' }), true)
  assert.equal(await may({ identity: 'allow', boundary: 'nothing', session: 'absent' }), false)
  assert.equal(await may({ identity: 'allow', boundary: 'allow', session: 'nothing' }), false)
  // Not even those of an administrator's account may more than their policies say.
  assert.equal(await may({ identity: 'nothing', boundary: 'absent', session: 'absent' }), false)
})

test('a role is taken on by whom it trusts alone, and from elsewhere only with leave of both', () => {
  const access = new AccessControl({ buckets: { get: async () => assert.fail() }, world: realWorld })
  const trusting = (principal: unknown): Policy =>
    parseTrustPolicy(document([{ Effect: 'Allow', Action: 'sts:AssumeRole', Principal: principal }]))
  const assume = parseIdentityPolicy(document([{ Effect: 'Allow', Action: 'sts:AssumeRole', Resource: '*' }]))
  const base: Omit<Case, 'identity'> = {
    kind: 'user',
    owner: 'ann',
    boundary: 'absent',
    session: 'absent',
    resource: 'nothing',
    named: 'self',
  }
  const may = (principal: unknown, realm: string, hasLeave: boolean): boolean => {
    const caller = callerOf({ ...base, identity: 'nothing' }) as Extract<Caller, { kind: 'account' }>
    assert.ok(caller.principal !== undefined)
    const asking = { ...caller, principal: { ...caller.principal, identity: hasLeave ? [assume] : [] } }
    try {
      const question = {
        trust: trusting(principal),
        realm,
        action: 'sts:AssumeRole',
        resource: `arn:aws:iam::${realm}:role/r`,
      }
      access.authorizeTrust({ caller: asking, ...question, values: new Map() })
      return true
    } catch {
      return false
    }
  }
  assert.equal(may({ AWS: userArn }, 'ann', false), true)
  assert.equal(may({ AWS: 'ann' }, 'ann', false), false)
  assert.equal(may({ AWS: 'ann' }, 'ann', true), true)
  assert.equal(may({ AWS: userArn }, 'bob', false), false)
  assert.equal(may({ AWS: userArn }, 'bob', true), true)
  assert.equal(may({ AWS: 'bob' }, 'bob', true), false)
  assert.equal(may({ AWS: 'arn:aws:iam::ann:user/team/adam' }, 'ann', true), false)
  assert.equal(may({ Federated: 'arn:aws:iam::ann:oidc-provider/x' }, 'ann', true), false)
})
