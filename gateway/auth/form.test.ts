/** What a POST form's policy allows. The cases are those that ceph's s3-tests expect, with S3's codes. */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import type { FormAuthority } from '#gateway/operations/operation.ts'
import { Fault } from '#src/errors.ts'
import { example, signingKey } from '../../test/signer.ts'
import { authenticateForm } from './form.ts'
import { SigningKeys } from './signature.ts'

const now = Date.parse('2026-11-22T12:00:00Z')
const account = { id: 'owner', displayName: 'Owner', email: 'owner@example.com', isAdministrator: false }
const verifier = {
  identity: {
    findKey: async (id: string) =>
      id === example.id
        ? { key: { id, secret: example.secret, accountId: account.id, isActive: true, created: 0 }, account }
        : undefined,
  },
  world: { now: () => now },
  keys: new SigningKeys(),
  services: ['s3'],
  expiresMax: 604800,
}

const base = [
  { bucket: 'photos' },
  ['starts-with', '$key', 'foo'],
  { acl: 'private' },
  ['starts-with', '$Content-Type', 'text/plain'],
  ['content-length-range', 0, 1024],
]
const plain = { key: 'foo.txt', acl: 'private', 'content-type': 'text/plain' }
const later = '2026-11-22T13:00:00Z'

type Fields = Record<string, string>

const encoded = (document: unknown): string =>
  Buffer.from(typeof document === 'string' ? document : JSON.stringify(document)).toString('base64')

function sign2(document: unknown, fields: Fields): Fields {
  const policy = encoded(document)
  const signature = createHmac('sha1', example.secret).update(policy).digest('base64')
  return { ...fields, awsaccesskeyid: example.id, policy, signature }
}

function sign4(
  document: { expiration?: unknown; conditions: unknown[] },
  fields: Fields,
  date = '20261122T120000Z',
): Fields {
  const signing = {
    'x-amz-algorithm': 'AWS4-HMAC-SHA256',
    'x-amz-credential': `${example.id}/20261122/us-east-1/s3/aws4_request`,
    'x-amz-date': date,
  }
  const named = Object.entries(signing).map(([name, value]) => ({ [name]: value }))
  const policy = encoded({ ...document, conditions: [...document.conditions, ...named] })
  const signature = createHmac('sha256', signingKey(example, '20261122')).update(policy).digest('hex')
  return { ...fields, ...signing, policy, 'x-amz-signature': signature }
}

const check = (fields: Fields, bucket = 'photos'): Promise<FormAuthority> =>
  authenticateForm({ bucket, fields: new Map(Object.entries(fields)) }, verifier)

async function code(fields: Fields, bucket?: string): Promise<string> {
  try {
    await check(fields, bucket)
  } catch (error) {
    assert.ok(error instanceof Fault, String(error))
    assert.doesNotMatch(JSON.stringify(error.details), /wJalrXUtn/, 'A2')
    return error.code
  }
  return 'accepted'
}

const policy = (conditions: unknown[]): { expiration: string; conditions: unknown[] } => ({
  expiration: later,
  conditions,
})

test('W1: a form that keeps to its policy is its signer, in version 2 and 4', async () => {
  for (const sign of [sign2, sign4]) {
    const authority = await check(sign(policy(base), plain))
    assert.deepEqual(authority, {
      caller: { kind: 'account', account, accessKeyId: example.id },
      bytesMin: 0,
      bytesMax: 1024,
    })
    assert.equal(
      await code(sign(policy(base), { ...plain, 'x-ignore-foo': 'bar', 'x-amz-checksum-sha256': 'abc' })),
      'accepted',
    )
  }
  const authority = await check(plain)
  assert.equal(authority.caller.kind, 'anonymous')
})

test("W1: AWS's published policy and its signature hold", async () => {
  // https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-post-example.html
  const text =
    'eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9'
  const fields = new Map([
    ['key', 'user/user1/photo.jpg'],
    ['acl', 'public-read'],
    ['success_action_redirect', 'http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html'],
    ['content-type', 'image/jpeg'],
    ['x-amz-meta-uuid', '14365123651274'],
    ['x-amz-server-side-encryption', 'AES256'],
    ['x-amz-credential', 'AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request'],
    ['x-amz-algorithm', 'AWS4-HMAC-SHA256'],
    ['x-amz-date', '20151229T000000Z'],
    ['x-amz-meta-tag', ''],
    ['policy', text],
    ['x-amz-signature', '8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e'],
  ])
  const then = { ...verifier, world: { now: () => Date.parse('2015-12-29T12:00:00Z') } }
  const { caller } = await authenticateForm({ bucket: 'sigv4examplebucket', fields }, then)
  assert.equal(caller.kind, 'account')
})

test('W1: fields and bucket that the policy does not name, or names otherwise, are refused', async () => {
  for (const sign of [sign2, sign4]) {
    const refused = async (conditions: unknown[], fields: Fields, bucket?: string): Promise<void> =>
      assert.equal(await code(sign(policy(conditions), fields), bucket), 'AccessDenied')
    await refused(base, plain, 'other')
    await refused(base, { ...plain, bucket: 'photos' }, 'other')
    await refused(base.slice(1), plain)
    await refused(base, { ...plain, key: 'bar' })
    await refused(base, { ...plain, acl: 'public-read' })
    await refused(base, { ...plain, 'content-type': 'text/html' })
    await refused(base, { ...plain, 'content-type': 'text/plain, text/html' })
    await refused(base, { ...plain, 'x-amz-meta-foo': 'bar' })
    await refused(base, { ...plain, tagging: '<Tagging/>' })
    await refused(base, { ...plain, success_action_redirect: 'http://evil.example' })
    await refused([...base, ['starts-with', '$x-amz-meta-foo', 'bar']], plain)
    await refused([...base, ['eq', '$x-amz-meta-foo', '']], { ...plain, 'x-amz-meta-foo': 'barclamp' })
    await refused([...base, ['starts-with', '$key', 'food']], plain)
  }
})

test('W1: names of fields and operations have no case, values have', async () => {
  const mixed = [
    { bUcKeT: 'photos' },
    ['StArTs-WiTh', '$KeY', 'foo'],
    { AcL: 'private' },
    ['StArTs-WiTh', '$CoNtEnT-TyPe', 'text/plain'],
  ]
  assert.equal(await code(sign2(policy(mixed), plain)), 'accepted')
  assert.equal(await code(sign2(policy(mixed), { ...plain, key: 'FOO' })), 'AccessDenied')
  const escaped = [{ bucket: 'photos' }, ['starts-with', '$key', '\\$foo']]
  assert.equal(await code(sign2(policy(escaped), { key: '\\$foo.txt' })), 'accepted')
})

test('W2: what is no policy is refused', async () => {
  const invalid = async (document: unknown): Promise<void> =>
    assert.equal(await code(sign2(document, plain)), 'InvalidPolicyDocument', JSON.stringify(document))
  for (const document of ['null', '[]', '"a"', '{', 'not json', '1']) await invalid(document)
  await invalid({ conditions: base })
  await invalid({ expiration: later })
  await invalid({ EXPIRATION: later, conditions: base })
  await invalid({ expiration: later, CONDITIONS: base })
  await invalid({ expiration: later, conditions: base, extra: 1 })
  for (const expiration of ['2026-11-22 13:00:00+00:00', '', 'tomorrow', 5, null, '2026-13-41T00:00:00Z']) {
    await invalid({ expiration, conditions: base })
  }
  for (const condition of [
    {},
    { a: 'b', c: 'd' },
    { a: { b: 'c' } },
    [],
    ['eq'],
    ['eq', '$key'],
    ['eq', 'key', 'foo.txt'],
    ['eq', '$key', 'foo.txt', 'x'],
    ['like', '$key', 'foo'],
    ['content-length-range', 0],
    ['content-length-range', -1, 0],
    ['content-length-range', 1.5, 2],
    ['content-length-range', 5, 4],
    ['content-length-range', 0, 'many'],
    'eq',
    null,
    5,
  ]) {
    await invalid(policy([...base, condition]))
  }
})

test('W2: characters that are no base64 are refused, even where cut to bytes they would be the signed ones', async () => {
  for (const sign of [sign2, sign4]) {
    const fields = sign(policy(base), plain)
    const { policy: text = '' } = fields
    for (const at of [0, 10, text.length - 3]) {
      const wide = String.fromCharCode(text.charCodeAt(at) + 0x100)
      assert.equal(
        await code({ ...fields, policy: text.slice(0, at) + wide + text.slice(at + 1) }),
        'SignatureDoesNotMatch',
      )
    }
  }
  assert.equal(await code(sign2('{"a":1}\u0000', plain)), 'InvalidPolicyDocument')
})

test('A1: the date of a form is that of its credential, and not in the future', async () => {
  for (const [date, expected] of [
    ['20261121T120000Z', 'InvalidArgument'],
    ['20261122T121600Z', 'AccessDenied'],
    ['20261122', 'InvalidArgument'],
  ] as const) {
    const fields = sign4(policy([...base, ['starts-with', '$x-amz-date', '']]), plain, date)
    assert.equal(await code(fields), expected, date)
  }
})

test('W1: the ranges of lengths that a policy gives all hold', async () => {
  const ranges = [
    ['content-length-range', 10, 500],
    ['content-length-range', '5', '400'],
  ]
  const { bytesMin, bytesMax } = await check(sign2(policy([...base, ...ranges]), plain))
  assert.deepEqual([bytesMin, bytesMax], [10, 400])
})

test('A1: forms with a wrong, missing or doubled signature, or out of time, are refused', async () => {
  assert.equal(await code(sign2({ expiration: '2026-11-22T12:00:00Z', conditions: base }, plain)), 'AccessDenied')
  const forms = [
    { fields: sign2(policy(base), plain), parts: ['awsaccesskeyid', 'policy', 'signature'] },
    {
      fields: sign4(policy(base), plain),
      parts: ['x-amz-credential', 'x-amz-date', 'policy', 'x-amz-signature', 'x-amz-algorithm'],
    },
  ]
  let cases = 0
  for (const { fields, parts } of forms) {
    assert.equal(await code(fields), 'accepted')
    for (const name of parts) {
      const { [name]: value = '', ...rest } = fields
      assert.equal(await code(rest), 'InvalidArgument', `without ${name}`)
      assert.equal(await code({ ...rest, [name]: '' }), 'InvalidArgument', `with an empty ${name}`)
      for (let at = 0; at < value.length; at++) {
        const changed = value.slice(0, at) + String.fromCharCode(value.charCodeAt(at) ^ 1) + value.slice(at + 1)
        assert.notEqual(await code({ ...rest, [name]: changed }), 'accepted', `${name}, byte ${at}`)
        cases++
      }
    }
    // A token is a field like others, and so must be in the policy; without a signature it is nobody's.
    assert.equal(await code({ ...fields, 'x-amz-security-token': 't' }), 'AccessDenied')
    assert.equal(await code({ ...plain, 'x-amz-security-token': 't' }), 'InvalidToken')
  }
  assert.ok(cases > 900, `${cases}`)
  assert.equal(await code({ ...sign2(policy(base), plain), awsaccesskeyid: 'foo' }), 'InvalidAccessKeyId')
  assert.equal(await code({ ...sign2(policy(base), plain), ...sign4(policy(base), plain) }), 'InvalidArgument')
  assert.equal(await code({ ...plain, policy: encoded(policy(base)) }), 'InvalidArgument')
})
