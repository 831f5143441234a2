import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Fault } from '#src/errors.ts'
import { processorTime } from '../../test/support/processor-time.ts'
import { evaluate, isPublic, type Verdict } from './policy.ts'
import { parseBucketPolicy } from './policy-document.ts'
import { conditionName } from './policy-variables.ts'

type Values = Readonly<Record<string, string | readonly string[]>>

interface Asked {
  readonly accountId?: string
  readonly arns?: readonly string[]
  readonly action?: string
  readonly resource?: string
  readonly values?: Values
}

const everyone = { Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: 'arn:aws:s3:::box/*' }

const policyOf = (...statements: object[]) =>
  parseBucketPolicy(JSON.stringify({ Version: '2012-10-17', Statement: statements }), 'box')

function ask(policy: ReturnType<typeof policyOf>, asked: Asked = {}): Verdict {
  const { accountId, arns = [], action = 's3:getobject', resource = 'arn:aws:s3:::box/key', values = {} } = asked
  const map = new Map(
    Object.entries(values).map(([name, value]) => [conditionName(name), typeof value === 'string' ? [value] : value]),
  )
  return evaluate({ resource: policy }, { requester: { accountId, arns }, action, resource, values: map })
}

const held = (condition: object, values: Values, accountId?: string): boolean =>
  ask(policyOf({ ...everyone, Condition: condition }), {
    values,
    ...(accountId === undefined ? {} : { accountId }),
  }) === 'allow'

function refused(document: unknown): void {
  const text = typeof document === 'string' ? document : JSON.stringify(document)
  assert.throws(
    () => parseBucketPolicy(text, 'box'),
    (error) => error instanceof Fault && error.code === 'MalformedPolicy',
    text.slice(0, 200),
  )
}

test('L1: a Deny wins over an Allow, and nothing is allowed that no statement allows', () => {
  const deny = { ...everyone, Effect: 'Deny', Resource: 'arn:aws:s3:::box/secret/*' }
  for (const policy of [policyOf(everyone, deny), policyOf(deny, everyone)]) {
    assert.equal(ask(policy), 'allow')
    assert.equal(ask(policy, { resource: 'arn:aws:s3:::box/secret/x' }), 'deny')
    assert.equal(ask(policy, { action: 's3:putobject' }), 'none')
    assert.equal(ask(policy, { resource: 'arn:aws:s3:::box' }), 'none')
    assert.equal(ask(policy, { resource: 'arn:aws:s3:::box2/key' }), 'none')
  }
})

test('principals: everyone, accounts by id and ARN, users by ARN, all but some', () => {
  const by = (Principal: unknown, asked: Asked) => ask(policyOf({ ...everyone, Principal }), asked)
  assert.equal(by('*', {}), 'allow')
  assert.equal(by({ AWS: '*' }, {}), 'allow')
  for (const named of [
    { AWS: 'alice' },
    { AWS: ['bob', 'arn:aws:iam::alice:root'] },
    { AWS: 'arn:aws:iam:::user/alice' },
    { CanonicalUser: 'alice' },
  ]) {
    assert.equal(by(named, { accountId: 'alice' }), 'allow')
    assert.equal(by(named, { accountId: 'alic' }), 'none')
    assert.equal(by(named, {}), 'none')
  }
  const user = 'arn:aws:iam::alice:user/ann'
  assert.equal(by({ AWS: user }, { accountId: 'alice' }), 'none')
  assert.equal(by({ AWS: user }, { accountId: 'alice', arns: [user] }), 'allow')
  assert.equal(by({ Service: 'logging.s3.amazonaws.com' }, { accountId: 'alice' }), 'none')

  const { Principal: _, ...rest } = everyone
  const allBut = policyOf(everyone, { ...rest, Effect: 'Deny', NotPrincipal: { AWS: 'alice' } })
  assert.equal(ask(allBut, { accountId: 'alice' }), 'allow')
  assert.equal(ask(allBut, { accountId: 'bob' }), 'deny')
  assert.equal(ask(allBut), 'deny')
})

test('actions and resources: case, wildcards, all but some', () => {
  const { Action: _, ...noAction } = everyone
  assert.equal(ask(policyOf({ ...noAction, Action: 'S3:getOBJECT' })), 'allow')
  assert.equal(ask(policyOf({ ...noAction, Action: ['s3:Put*', 's3:Get?bject'] })), 'allow')
  assert.equal(ask(policyOf({ ...noAction, Action: '*' })), 'allow')
  assert.equal(ask(policyOf({ ...noAction, NotAction: 's3:Get*' })), 'none')
  assert.equal(ask(policyOf({ ...noAction, NotAction: 's3:Put*' })), 'allow')
  const { Resource: __, ...noResource } = everyone
  assert.equal(ask(policyOf({ ...noResource, Resource: 'arn:aws:s3:::*' })), 'allow')
  assert.equal(ask(policyOf({ ...noResource, Resource: 'arn:aws:s3:::*/*' })), 'allow')
  assert.equal(ask(policyOf({ ...noResource, Resource: 'arn:aws:s3::tenant:box/*' })), 'none')
  assert.equal(ask(policyOf({ ...noResource, NotResource: 'arn:aws:s3:::box/k*' })), 'none')
  assert.equal(ask(policyOf({ ...noResource, NotResource: 'arn:aws:s3:::box/x*' })), 'allow')
  // Keys keep their case.
  assert.equal(ask(policyOf({ ...noResource, Resource: 'arn:aws:s3:::box/KEY' })), 'none')
})

/** Of each operator: a value that it takes, and one that it does not. */
const operators: readonly [operator: string, wanted: string | string[], takes: string, leaves: string][] = [
  ['StringEquals', ['a', 'b'], 'b', 'B'],
  ['StringEqualsIgnoreCase', 'aB', 'Ab', 'abc'],
  ['StringLike', 'a*c?', 'abcd', 'abc'],
  ['NumericEquals', '10', '10.0', '11'],
  ['NumericLessThan', '10', '9', '10'],
  ['NumericLessThanEquals', '10', '10', '11'],
  ['NumericGreaterThan', '10', '11', '10'],
  ['NumericGreaterThanEquals', '10', '10', '9'],
  ['DateEquals', '2026-01-01T00:00:00Z', '1767225600', '1767225601'],
  ['DateLessThan', '2026-01-01T00:00:00Z', '2025-12-31T23:59:59Z', '2026-01-01T00:00:00Z'],
  ['DateLessThanEquals', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z', '2026-01-01T00:00:01Z'],
  ['DateGreaterThan', '2026-01-01', '2026-01-01T00:00:01Z', '2026-01-01T00:00:00Z'],
  ['DateGreaterThanEquals', '2026-01-01', '2026-01-01T00:00:00Z', '2025-12-31T23:59:59Z'],
  ['Bool', 'true', 'true', 'false'],
  ['BinaryEquals', 'QmFzZTY0', 'QmFzZTY0', 'qmFzZTY0'],
  ['IpAddress', ['10.0.0.0/8', '2001:db8::/32'], '10.255.0.1', '11.0.0.1'],
  ['IpAddress', ['10.0.0.0/8', '2001:db8::/32'], '2001:db8:1::1', '2001:db9::1'],
  ['IpAddress', '203.0.113.7', '::ffff:203.0.113.7', '203.0.113.8'],
  ['ArnEquals', 'arn:aws:s3:::box*', 'arn:aws:s3:::boxes', 'arn:aws:s3:::bo'],
  ['ArnLike', 'arn:aws:iam::*:user/a*', 'arn:aws:iam::1:user/ab', 'arn:aws:iam::1:x:user/ab'],
]

const negations: Readonly<Record<string, string>> = {
  StringEquals: 'StringNotEquals',
  StringEqualsIgnoreCase: 'StringNotEqualsIgnoreCase',
  StringLike: 'StringNotLike',
  NumericEquals: 'NumericNotEquals',
  DateEquals: 'DateNotEquals',
  IpAddress: 'NotIpAddress',
  ArnEquals: 'ArnNotEquals',
  ArnLike: 'ArnNotLike',
}

for (const [operator, wanted, takes, leaves] of operators) {
  test(`${operator} ${wanted}: takes ${takes}, leaves ${leaves}, with IfExists, quantifiers and negation`, () => {
    const name = 'aws:Thing'
    const holds = (modified: string, value?: string | readonly string[]): boolean =>
      held({ [modified]: { [name]: wanted } }, value === undefined ? {} : { 'aws:thing': value })

    assert.deepEqual([holds(operator, takes), holds(operator, leaves), holds(operator)], [true, false, false])
    const ifExists = `${operator}IfExists`
    assert.deepEqual([holds(ifExists, takes), holds(ifExists, leaves), holds(ifExists)], [true, false, true])
    const all = `ForAllValues:${operator}`
    assert.deepEqual([holds(all, [takes, takes]), holds(all, [takes, leaves]), holds(all)], [true, false, true])
    const any = `ForAnyValue:${operator}`
    assert.deepEqual([holds(any, [leaves, takes]), holds(any, [leaves]), holds(any)], [true, false, false])

    const not = negations[operator]
    if (not === undefined) return
    assert.deepEqual([holds(not, takes), holds(not, leaves), holds(not)], [false, true, true])
    assert.deepEqual(
      [holds(`ForAllValues:${not}`, [leaves, takes]), holds(`ForAllValues:${not}`, leaves)],
      [false, true],
    )
    const anyNot = `ForAnyValue:${not}`
    assert.deepEqual([holds(anyNot, [leaves, takes]), holds(anyNot, takes), holds(anyNot)], [true, false, false])
  })
}

test('Null, several names, several operators: all must hold', () => {
  assert.ok(held({ Null: { 'aws:Thing': 'true' } }, {}))
  assert.ok(!held({ Null: { 'aws:Thing': true } }, { 'aws:Thing': 'x' }))
  assert.ok(held({ Null: { 'aws:Thing': false } }, { 'aws:Thing': 'x' }))
  const condition = { StringEquals: { 'aws:A': 'a', 'aws:B': 'b' }, Bool: { 'aws:C': true } }
  const values = { 'aws:A': 'a', 'aws:B': 'b', 'aws:C': 'true' }
  assert.ok(held(condition, values))
  for (const name of Object.keys(values)) assert.ok(!held(condition, { ...values, [name]: 'x' }), name)
})

test('names of conditions compare without case, names of tags with', () => {
  assert.ok(held({ StringEquals: { 's3:EXISTINGobjecttag/Color': 'red' } }, { 's3:ExistingObjectTag/Color': 'red' }))
  assert.ok(!held({ StringEquals: { 's3:ExistingObjectTag/color': 'red' } }, { 's3:ExistingObjectTag/Color': 'red' }))
  assert.equal(
    policyOf({ ...everyone, Condition: { Null: { 's3:ExistingObjectTag/a': true } } }).readsExistingTags,
    true,
  )
  const variable = { StringEquals: { 'aws:A': `\${s3:ExistingObjectTag/a}` } }
  assert.equal(policyOf({ ...everyone, Condition: variable }).readsExistingTags, true)
  assert.equal(policyOf(everyone).readsExistingTags, false)
})

test('W2: variables in resources and conditions are literal; without a value the statement applies to nothing', () => {
  const home = policyOf({ ...everyone, Resource: `arn:aws:s3:::box/home/\${aws:username}/*` })
  const at = (key: string, values: Values) => ask(home, { resource: `arn:aws:s3:::box/${key}`, values })
  assert.equal(at('home/ann/x', { 'aws:username': 'ann' }), 'allow')
  assert.equal(at('home/bob/x', { 'aws:username': 'ann' }), 'none')
  assert.equal(at('home/bob/x', { 'aws:username': '*' }), 'none')
  assert.equal(at('home//x', {}), 'none')

  const prefix = (wanted: string) => ({ StringLike: { 's3:prefix': wanted } })
  assert.ok(held(prefix(`\${aws:username}/*`), { 'aws:username': 'ann', 's3:prefix': 'ann/x' }))
  assert.ok(!held(prefix(`\${aws:username}/*`), { 's3:prefix': '/x' }))
  assert.ok(held(prefix(`\${aws:username, 'guest'}/*`), { 's3:prefix': 'guest/x' }))
  assert.ok(held(prefix(`\${*}\${?}\${$}`), { 's3:prefix': '*?$' }))
  assert.ok(!held(prefix(`\${*}`), { 's3:prefix': 'x' }))
  assert.ok(!held({ StringNotEquals: { 'aws:A': `\${aws:username}` } }, { 'aws:A': 'x' }))
  const old = JSON.stringify({ Statement: { ...everyone, Resource: `arn:aws:s3:::box/\${aws:username}` } })
  assert.equal(ask(parseBucketPolicy(old, 'box'), { resource: `arn:aws:s3:::box/\${aws:username}` }), 'allow')
})

test('what is no policy is refused', () => {
  const one = (change: object) => ({ Version: '2012-10-17', Statement: [{ ...everyone, ...change }] })
  parseBucketPolicy(JSON.stringify(one({})), 'box')
  const documents: unknown[] = [
    '',
    'x',
    ' {}',
    '[]',
    '{"Statement":',
    '{}',
    { Statement: [] },
    { Statement: [7] },
    { ...one({}), Version: '2012-10-18' },
    { ...one({}), Version: '\ud800' },
    { ...one({}), Id: 7 },
    { ...one({}), Name: 'x' },
    one({ Name: 'x' }),
    one({ Sid: 7 }),
    one({ Effect: 'allow' }),
    one({ Effect: undefined }),
    one({ Principal: undefined }),
    one({ Principal: {} }),
    one({ Principal: { AWS: [] } }),
    one({ Principal: { AWS: 'arn:aws:iam::1' } }),
    one({ Principal: { AWS: 'arn:aws:iam::*:root' } }),
    one({ Principal: { AWS: 'a b' } }),
    one({ Principal: { Nobody: 'a' } }),
    one({ Principal: 'a' }),
    one({ NotPrincipal: { AWS: 'a' } }),
    one({ Principal: undefined, NotPrincipal: { AWS: 'a' } }),
    one({ Action: undefined }),
    one({ Action: [] }),
    one({ Action: 'iam:Get*' }),
    one({ Action: 's3:Get Object' }),
    one({ Action: { a: 1 } }),
    one({ NotAction: 's3:GetObject' }),
    one({ Resource: undefined }),
    one({ Resource: 'arn:aws:s3:::other/*' }),
    one({ Resource: 'arn:aws:s3:::boxes' }),
    one({ Resource: 'box/*' }),
    one({ Resource: 'arn:aws:sqs:::box' }),
    one({ Resource: `arn:aws:s3:::box/\${aws:username` }),
    one({ Condition: [] }),
    one({ Condition: { StringEqual: { 'aws:A': 'x' } } }),
    one({ Condition: { NullIfExists: { 'aws:A': 'true' } } }),
    one({ Condition: { StringEquals: 'x' } }),
    one({ Condition: { StringEquals: { A: 'x' } } }),
    one({ Condition: { StringEquals: { 'aws:A': [] } } }),
    one({ Condition: { StringEquals: { 'aws:A': { b: 1 } } } }),
    one({ Condition: { StringEquals: { 'aws:A': '\ud800' } } }),
    one({ Condition: { NumericEquals: { 'aws:A': 'x' } } }),
    one({ Condition: { DateEquals: { 'aws:A': 'x' } } }),
    one({ Condition: { Bool: { 'aws:A': 'x' } } }),
    one({ Condition: { Null: { 'aws:A': 'x' } } }),
    one({ Condition: { IpAddress: { 'aws:A': '10.0.0.0/33' } } }),
    one({ Condition: { IpAddress: { 'aws:A': 'x' } } }),
    one({ Condition: { ArnLike: { 'aws:A': 'x' } } }),
    '{"Version":"2012-10-17","__proto__":{},"Statement":[]}',
    `${JSON.stringify(one({}))}${' '.repeat(20 * 1024)}`,
  ]
  for (const document of documents) refused(document)
})

test('a policy is public unless each Allow for everyone is tied to something fixed', () => {
  const publicWith = (condition: object) => isPublic(policyOf({ ...everyone, Condition: condition }))
  assert.equal(isPublic(policyOf(everyone)), true)
  assert.equal(isPublic(policyOf({ ...everyone, Principal: { AWS: ['*', 'alice'] } })), true)
  assert.equal(isPublic(policyOf({ ...everyone, Effect: 'Deny' })), false)
  assert.equal(isPublic(policyOf({ ...everyone, Principal: { AWS: 'arn:aws:iam::a:root' } })), false)
  assert.equal(publicWith({ IpAddress: { 'aws:SourceIp': '10.0.0.0/32' } }), false)
  assert.equal(publicWith({ IpAddress: { 'aws:SourceIp': ['10.0.0.0/32', '0.0.0.0/0'] } }), true)
  assert.equal(publicWith({ IpAddress: { 'aws:SourceIp': '0.0.0.0/1' } }), true)
  assert.equal(publicWith({ NotIpAddress: { 'aws:SourceIp': '10.0.0.0/8' } }), true)
  assert.equal(publicWith({ IpAddressIfExists: { 'aws:SourceIp': '10.0.0.0/8' } }), true)
  assert.equal(publicWith({ StringEquals: { 'aws:SourceVpc': 'vpc-1' } }), false)
  assert.equal(publicWith({ StringLike: { 'aws:SourceVpc': 'vpc-*' } }), true)
  assert.equal(publicWith({ StringEquals: { 'aws:SourceVpc': `\${aws:x}` } }), true)
  assert.equal(publicWith({ StringNotEquals: { 'aws:SourceVpc': 'vpc-1' } }), true)
  assert.equal(publicWith({ 'ForAllValues:StringEquals': { 'aws:SourceVpc': 'vpc-1' } }), true)
  assert.equal(publicWith({ StringLike: { 'aws:Referer': 'https://example.com/' } }), true)
})

const statement = fc.record(
  {
    Effect: fc.constantFrom('Allow', 'Deny'),
    Principal: fc.constantFrom('*', { AWS: 'alice' }, { AWS: ['bob', 'carol'] }),
    Action: fc.constantFrom('*', 's3:*', 's3:GetObject', ['s3:PutObject', 's3:Get*']),
    Resource: fc.constantFrom('arn:aws:s3:::box/*', 'arn:aws:s3:::box', 'arn:aws:s3:::box/a*', ['arn:aws:s3:::*']),
    Condition: fc.constantFrom({}, { StringEquals: { 's3:x': 'a' } }, { StringNotEquals: { 's3:x': 'a' } }),
  },
  { noNullPrototype: true },
)
const request = fc.record(
  {
    accountId: fc.constantFrom('alice', 'bob', 'dave'),
    action: fc.constantFrom('s3:getobject', 's3:putobject', 's3:listbucket'),
    resource: fc.constantFrom('arn:aws:s3:::box', 'arn:aws:s3:::box/a', 'arn:aws:s3:::box/b'),
    values: fc.constantFrom<Values>({}, { 's3:x': 'a' }, { 's3:x': 'b' }),
  },
  { noNullPrototype: true },
)
const rank: Readonly<Record<Verdict, number>> = { deny: 0, none: 1, allow: 2 }

test('L1, L2: a Deny never widens, an Allow never narrows, and order does not matter', () => {
  const statements = fc.array(statement, { minLength: 1, maxLength: 5 })
  fc.assert(
    fc.property(statements, statement, fc.nat(5), request, (all, added, place, asked) => {
      const before = ask(policyOf(...all), asked)
      const after = ask(policyOf(...all.toSpliced(place, 0, added)), asked)
      if (added.Effect === 'Deny') assert.ok(rank[after] <= rank[before])
      else assert.ok(before === 'deny' ? after === 'deny' : rank[after] >= rank[before])
      assert.equal(ask(policyOf(...all.toReversed()), asked), before)
    }),
    { numRuns: 3000 },
  )
})

test('L1: several policies: one Deny suffices, identity policies are cut by the boundary and the session', () => {
  const allow = policyOf(everyone)
  const deny = policyOf({ ...everyone, Effect: 'Deny' })
  const nothing = policyOf({ ...everyone, Action: 's3:PutObject' })
  const asked = {
    requester: { accountId: 'alice', arns: [] },
    action: 's3:getobject',
    resource: 'arn:aws:s3:::box/key',
    values: new Map(),
  }
  assert.equal(evaluate({}, asked), 'none')
  assert.equal(evaluate({ identity: [nothing, allow] }, asked), 'allow')
  assert.equal(evaluate({ identity: [allow], resource: nothing }, asked), 'allow')
  assert.equal(evaluate({ identity: [allow], boundary: nothing }, asked), 'none')
  assert.equal(evaluate({ identity: [allow], boundary: allow, session: nothing }, asked), 'none')
  assert.equal(evaluate({ identity: [allow], boundary: allow, session: allow }, asked), 'allow')
  assert.equal(evaluate({ resource: allow, boundary: deny }, asked), 'deny')
  assert.equal(evaluate({ resource: allow, identity: [deny] }, asked), 'deny')
  assert.equal(evaluate({ resource: deny, identity: [allow] }, asked), 'deny')
  assert.equal(evaluate({ boundary: allow, session: allow }, asked), 'none')
})

test('T15: a mebibyte under a hostile policy is refused in milliseconds', () => {
  const hostile = policyOf({
    ...everyone,
    Condition: { StringLike: { 'aws:Referer': ['*a*a*a*a*a*a*b', `*${'a?'.repeat(5000)}b`] } },
  })
  const values = { 'aws:Referer': 'a'.repeat(1024 * 1024) }
  const took = processorTime(() => {
    assert.throws(
      () => ask(hostile, { values }),
      (error) => error instanceof Fault && error.code === 'AccessDenied',
    )
    const longest = { 'aws:Referer': 'a'.repeat(2048) }
    assert.equal(ask(hostile, { values: longest }), 'none')
  })
  assert.ok(took < 500, `${took} ms`)
})
