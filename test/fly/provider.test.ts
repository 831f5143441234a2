import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  PutBucketPolicyCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import { refusal } from '../s3/store.ts'
import {
  bytesOf,
  callFly,
  clientOf,
  type FlyCall,
  type JsonAnswer,
  newName,
  type SignatureForm,
  sendBytes,
  signedForm,
  useFly,
} from './harness.ts'

/** Fly's extension provider API, called as Fly calls it. */

const fly = useFly()

const base = '/flyio/extensions'

const call = (given: Omit<FlyCall, 'secret'> & { secret?: string }): Promise<JsonAnswer> =>
  callFly(fly().origin, { secret: fly().secrets[0], ...given })

const fieldsOf = (name: string, more: Record<string, unknown> = {}): Record<string, unknown> => ({
  name,
  id: newName('ext'),
  organization_id: 'fly-org-1',
  organization_name: 'Acme',
  user_id: 'fly-user-1',
  user_email: 'abc@customer.fly.io',
  user_role: 'admin',
  ...more,
})

const provision = async (more: Record<string, unknown> = {}, name = newName()) => {
  const fields = fieldsOf(name, more)
  const answer = await call({ method: 'POST', path: base, fields })
  assert.equal(answer.status, 200, JSON.stringify(answer.value))
  return { id: String(answer.value['id']), name, fields, config: answer.value['config'] as Record<string, string> }
}

const said = ({ status, value }: JsonAnswer): string => `${status} ${String(value['code'])}`

const bucketsCalled = async (stem: string): Promise<number> =>
  (await fly().accounts.provisioning.list()).filter(({ bucket }) => bucket.startsWith(stem)).length

test('U1: a provisioned bucket has an organisation, a key and five variables, and they work', async () => {
  const { id, name, config } = await provision()
  assert.deepEqual(Object.keys(config).sort(), [
    'AWS_ACCESS_KEY_ID',
    'AWS_ENDPOINT_URL_S3',
    'AWS_REGION',
    'AWS_SECRET_ACCESS_KEY',
    'BUCKET_NAME',
  ])
  assert.equal(config['BUCKET_NAME'], name)
  assert.equal(config['AWS_REGION'], 'auto')
  assert.equal(config['AWS_ENDPOINT_URL_S3'], fly().storage)
  const client = clientOf(config)
  await client.send(new PutObjectCommand({ Bucket: name, Key: 'a', Body: 'hello' }))
  const got = await client.send(new GetObjectCommand({ Bucket: name, Key: 'a' }))
  assert.equal(await got.Body?.transformToString(), 'hello')
  const status = await call({ method: 'GET', path: `${base}/${id}` })
  assert.equal(status.status, 200)
  assert.equal(status.value['status'], 'ready')
  assert.deepEqual(status.value['usage'], { bytes: 5, objects: 1 })
  const { organization } = await fly().accounts.provisioning.get(id)
  assert.equal((await fly().accounts.organizations.get(organization)).name, 'Acme')
  const [member] = await fly().accounts.organizations.members(organization)
  assert.equal(member?.role, 'admin')
})

test('U3: the key opens its own bucket alone, and neither deletes nor exposes it', async () => {
  const [mine, other] = [await provision(), await provision()]
  const client = clientOf(mine.config)
  await clientOf(other.config).send(new PutObjectCommand({ Bucket: other.name, Key: 'a', Body: 'x' }))
  const refused = '403 AccessDenied'
  const open = JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: `arn:aws:s3:::${mine.name}/*` }],
  })
  assert.equal(await refusal(client.send(new GetObjectCommand({ Bucket: other.name, Key: 'a' }))), refused)
  assert.equal(await refusal(client.send(new PutObjectCommand({ Bucket: other.name, Key: 'a', Body: 'y' }))), refused)
  assert.equal(await refusal(client.send(new ListObjectsV2Command({ Bucket: other.name }))), refused)
  assert.equal(await refusal(client.send(new ListBucketsCommand({}))), refused)
  assert.equal(await refusal(client.send(new CreateBucketCommand({ Bucket: newName() }))), refused)
  assert.equal(await refusal(client.send(new DeleteBucketCommand({ Bucket: mine.name }))), refused)
  assert.equal(await refusal(client.send(new PutBucketPolicyCommand({ Bucket: mine.name, Policy: open }))), refused)
  assert.equal(await refusal(client.send(new ListObjectsV2Command({ Bucket: mine.name }))), 'nothing was refused')
})

test('V1: a signature is taken in every form that a digest may have, from both secrets, and no other', async () => {
  const { id } = await provision()
  const path = `${base}/${id}`
  const forms: readonly SignatureForm[] = ['hex', 'HEX', 'base64', 'base64url', 'sha256=hex']
  for (const form of forms) {
    for (const secret of fly().secrets) {
      assert.equal((await call({ method: 'GET', path, secret, form })).status, 200, form)
    }
  }
  const wrong: readonly (string | undefined)[] = [undefined, '', 'x', '0'.repeat(64), '='.repeat(44), 'é'.repeat(32)]
  for (const signature of wrong.filter((each) => each !== 'é'.repeat(32))) {
    assert.equal(said(await call({ method: 'GET', path, signature })), '401 bad_signature', String(signature))
    const fields = fieldsOf(newName('unsigned'))
    assert.equal(said(await call({ method: 'POST', path: base, fields, signature })), '401 bad_signature')
  }
  assert.equal(said(await call({ method: 'GET', path, secret: 'another secret' })), '401 bad_signature')
  assert.equal(await bucketsCalled('unsigned'), 0)
})

test('V1: the signature is over the bytes as they came', async () => {
  const { origin, secrets } = fly()
  const given: FlyCall = { method: 'POST', path: base, fields: fieldsOf(newName('raw')), secret: secrets[0] }
  const compact = bytesOf(origin, given)
  const spaced = JSON.stringify(JSON.parse(compact), undefined, 3)
  // What says the same in other bytes has another signature.
  assert.equal(
    said(await sendBytes(origin, { ...given, signature: signedForm(secrets[0], compact) }, spaced)),
    '401 bad_signature',
  )
  assert.equal((await sendBytes(origin, given, spaced)).status, 200)
  const { id } = await provision()
  const get: FlyCall = { method: 'GET', path: `${base}/${id}`, secret: secrets[0] }
  const query = bytesOf(origin, get).replaceAll('%2F', '%2f')
  assert.equal((await sendBytes(origin, get, query)).status, 200)
  assert.equal(
    said(await sendBytes(origin, { ...get, signature: signedForm(secrets[0], query) }, `${query}&a=b`)),
    '401 bad_signature',
  )
})

test('V1: secrets are rotated without a start', async () => {
  const { id } = await provision()
  const path = `${base}/${id}`
  const { secrets, writeSecrets } = fly()
  const next = 'the secret that comes next'
  await writeSecrets([secrets[1], next])
  try {
    assert.equal((await call({ method: 'GET', path, secret: next })).status, 200)
    assert.equal((await call({ method: 'GET', path, secret: secrets[1] })).status, 200)
    assert.equal(said(await call({ method: 'GET', path, secret: secrets[0] })), '401 bad_signature')
  } finally {
    await writeSecrets(secrets)
  }
})

test('V2: stale, misdirected and replayed requests change nothing', async () => {
  const { id, name } = await provision()
  const path = `${base}/${id}`
  const now = Math.floor(Date.now() / 1000)
  const fields = { options: { public: true } }
  const patch = (more: Record<string, unknown>) => call({ method: 'PATCH', path, fields: { ...fields, ...more } })
  for (const timestamp of [now - 400, now + 400, undefined, 'soon', 1.5, -1]) {
    assert.equal(said(await patch({ timestamp })), '401 stale', String(timestamp))
  }
  const elsewhere = [`${fly().origin}${path}x`, `http://store.example${path}`, undefined, 7, '']
  for (const url of elsewhere) assert.equal(said(await patch({ url })), '401 wrong_url', String(url))
  for (const nonce of [undefined, '', 'short', 5, 'n'.repeat(300)]) {
    assert.equal(said(await patch({ nonce })), '401 replayed', String(nonce))
  }
  assert.equal((await fly().accounts.provisioning.get(id)).options.isPublic, false)
  assert.equal((await patch({ url: `${fly().origin}${path}/` })).status, 200)

  const { origin, secrets } = fly()
  const again: FlyCall = { method: 'PATCH', path, fields, secret: secrets[0] }
  const bytes = bytesOf(origin, again)
  assert.equal((await sendBytes(origin, again, bytes)).status, 200)
  assert.equal(said(await sendBytes(origin, again, bytes)), '401 replayed')
  // The nonce in another request, too.
  const nonce = String(JSON.parse(bytes).nonce)
  assert.equal(said(await call({ method: 'PATCH', path, fields: { nonce, options: {} } })), '401 replayed')
  assert.equal(said(await call({ method: 'DELETE', path, fields: { nonce } })), '401 replayed')
  assert.equal((await fly().accounts.provisioning.get(id)).bucket, name)
})

test('V2: of one request that is sent many times at once, one is taken', async () => {
  const { id } = await provision()
  const { origin, secrets } = fly()
  const patch: FlyCall = { method: 'PATCH', path: `${base}/${id}`, fields: { options: {} }, secret: secrets[0] }
  const bytes = bytesOf(origin, patch)
  const all = await Promise.all(Array.from({ length: 8 }, () => sendBytes(origin, patch, bytes)))
  assert.deepEqual(all.map(({ status }) => status).sort(), [200, ...Array<number>(7).fill(401)])
})

test('U2: a repeat is given what was given, and makes nothing; neither does what is left of one', async () => {
  const { origin, secrets } = fly()
  const name = newName('repeat')
  const fields = fieldsOf(name)
  const post: FlyCall = { method: 'POST', path: base, fields, secret: secrets[0] }
  const bytes = bytesOf(origin, post)
  const first = await sendBytes(origin, post, bytes)
  assert.equal(first.status, 200)
  assert.deepEqual((await sendBytes(origin, post, bytes)).value, first.value)
  assert.deepEqual((await callFly(origin, post)).value, first.value)
  assert.equal(await bucketsCalled('repeat'), 1)
  // Its nonce under other bytes, if only another signature's.
  const { nonce } = JSON.parse(bytes) as { nonce: string }
  const timestamp = Math.floor(Date.now() / 1000) - 60
  assert.equal(said(await callFly(origin, { ...post, fields: { ...fields, nonce, timestamp } })), '401 replayed')
  assert.equal(said(await call({ ...post, fields: { ...fields, options: { public: true } } })), '409 already_exists')
  // Once it is gone, the old bytes bring nothing back.
  assert.equal((await call({ method: 'DELETE', path: `${base}/${String(first.value['id'])}` })).status, 204)
  assert.equal(said(await sendBytes(origin, post, bytes)), '401 replayed')
  assert.equal(await bucketsCalled('repeat'), 0)
})

test('U2: of many repeats at once, one makes the bucket', async () => {
  const { origin, secrets } = fly()
  const fields = fieldsOf(newName('once'))
  const all = await Promise.all(
    Array.from({ length: 6 }, () => callFly(origin, { method: 'POST', path: base, fields, secret: secrets[0] })),
  )
  assert.deepEqual(new Set(all.map(({ status }) => status)), new Set([200]))
  assert.equal(new Set(all.map(({ value }) => JSON.stringify(value))).size, 1)
  assert.equal(await bucketsCalled('once'), 1)
})

test('U1: of many who want one name at once, one has it', async () => {
  const name = newName('wanted')
  const all = await Promise.all(
    Array.from({ length: 6 }, () => call({ method: 'POST', path: base, fields: fieldsOf(name) })),
  )
  assert.deepEqual(all.map(said).sort(), ['200 undefined', ...Array<string>(5).fill('409 name_taken')])
  assert.match(String(all.find(({ status }) => status === 409)?.value['error']), /unavailable for creation/)
  const { organization } = await fly().accounts.provisioning.get(
    String(all.find(({ status }) => status === 200)?.value['id']),
  )
  // Nothing is left of the others: no key, and no user.
  const { identity } = fly().accounts.organizations.parts
  const keys = (await identity.listKeys(organization)).map(({ id }) => id)
  const known = (await fly().accounts.provisioning.list(organization)).map(({ accessKeyId }) => accessKeyId)
  assert.deepEqual(keys.sort(), known.sort())
})

test('V4: what is of another issuer or organisation is not there', async () => {
  const { accounts } = fly()
  const organization = await fly().makeOrganization('Local')
  const { provisioned } = await accounts.provisioning.provision({
    organization: organization.id,
    options: {},
    asked: '',
  })
  const path = `${base}/${provisioned.id}`
  for (const method of ['GET', 'PATCH', 'DELETE'] as const) {
    assert.equal(said(await call({ method, path })), '404 not_found', method)
  }
  const theirs = await provision({ organization_id: 'fly-org-2' })
  const fields = { organization_id: 'fly-org-1', options: { public: true } }
  assert.equal(said(await call({ method: 'PATCH', path: `${base}/${theirs.id}`, fields })), '404 not_found')
  assert.equal(
    said(await call({ method: 'DELETE', path: `${base}/${theirs.id}`, fields: { organization_id: 'fly-org-1' } })),
    '404 not_found',
  )
  assert.equal((await accounts.provisioning.get(theirs.id)).options.isPublic, false)
  assert.equal((await accounts.provisioning.get(provisioned.id)).bucket, provisioned.bucket)
  const right = { ...fields, organization_id: 'fly-org-2' }
  assert.equal((await call({ method: 'PATCH', path: `${base}/${theirs.id}`, fields: right })).status, 200)
})

test('V3: what cannot be read is refused by what is wrong with it', async () => {
  const { origin, secrets } = fly()
  const post: FlyCall = { method: 'POST', path: base, secret: secrets[0] }
  for (const bytes of ['', 'null', '[]', '{', '"x"', '\u0000']) {
    assert.equal(said(await sendBytes(origin, post, bytes)), '400 malformed', JSON.stringify(bytes))
  }
  const bad: readonly [Record<string, unknown>, string][] = [
    [{ id: undefined }, '422 invalid'],
    [{ id: '' }, '422 invalid'],
    [{ organization_id: undefined }, '422 invalid'],
    [{ organization_id: {} }, '422 invalid'],
    [{ id: 'x'.repeat(300) }, '422 invalid'],
    [{ name: 'Not A Name' }, '422 invalid_name'],
    [{ name: 'a' }, '422 invalid_name'],
    [{ name: '192.168.0.1' }, '422 invalid_name'],
    [{ options: { public: 'yes' } }, '422 invalid'],
    [{ options: { website: { domain_name: 'no host' } } }, '422 invalid'],
    [{ options: { shadow_bucket: { name: 'x' } } }, '422 invalid'],
    [{ options: { shadow_bucket: 'x' } }, '422 invalid'],
  ]
  for (const [more, expected] of bad) {
    const answer = await call({ method: 'POST', path: base, fields: fieldsOf(newName('bad'), more) })
    assert.equal(said(answer), expected, JSON.stringify(more))
    assert.equal(typeof answer.value['error'], 'string')
  }
  assert.equal(await bucketsCalled('bad'), 0)
  assert.equal(said(await call({ method: 'GET', path: `${base}/none` })), '404 not_found')
  assert.equal(said(await call({ method: 'GET', path: `${base}/none/more` })), '404 not_found')
  const huge = await fetch(`${origin}${base}`, { method: 'POST', body: 'x'.repeat(400_000) }).catch(() => undefined)
  assert.ok(huge === undefined || huge.status === 413)
})

test('U4: a bucket that is not empty stays, with its key', async () => {
  const { id, name, config } = await provision()
  const client = clientOf(config)
  await client.send(new PutObjectCommand({ Bucket: name, Key: 'a', Body: 'x' }))
  const refused = await call({ method: 'DELETE', path: `${base}/${id}` })
  assert.equal(said(refused), '409 not_empty')
  assert.match(String(refused.value['error']), new RegExp(name))
  assert.equal(await refusal(client.send(new GetObjectCommand({ Bucket: name, Key: 'a' }))), 'nothing was refused')
  await client.send(new DeleteObjectCommand({ Bucket: name, Key: 'a' }))
  assert.equal((await call({ method: 'DELETE', path: `${base}/${id}` })).status, 204)
  assert.equal(said(await call({ method: 'DELETE', path: `${base}/${id}` })), '404 not_found')
  assert.equal(await refusal(client.send(new ListObjectsV2Command({ Bucket: name }))), '403 InvalidAccessKeyId')
  // The name is free again.
  await provision({}, name)
})

test('options: public, accelerated, domain and shadow are taken, changed and taken back', async () => {
  const { accounts } = fly()
  const host = `${newName('www')}.example.com`
  const shadow = {
    access_key: 'AK',
    secret_key: 'CANARY',
    endpoint: 'https://s3.example.com',
    name: 'old',
    region: 'us-east-1',
  }
  const { id, name, config } = await provision({
    options: { public: true, accelerate: true, website: { domain_name: host }, shadow_bucket: shadow },
  })
  await clientOf(config).send(new PutObjectCommand({ Bucket: name, Key: 'a', Body: 'seen' }))
  const read = async (): Promise<number> => (await fetch(`${fly().storage}/${name}/a`)).status
  assert.equal(await read(), 200)
  assert.equal((await fetch(`${fly().storage}/${name}`)).status, 403)
  const path = `${base}/${id}`
  const patch = (options: object) => call({ method: 'PATCH', path, fields: { options } })
  const shown = (await call({ method: 'GET', path })).value['options'] as Record<string, Record<string, unknown>>
  assert.equal(shown['shadow_bucket']?.['secret_key'], '********')
  const { buckets, domains } = fly().node.services
  const domainOf = async () => (await buckets.get(name)).domain
  assert.equal(await domainOf(), host)
  assert.equal(await domains.bucketOf(host), name)
  const shadowOf = async () => (await fly().node.services.buckets.get(name)).shadow
  assert.deepEqual([(await shadowOf())?.name, (await shadowOf())?.endpoint], ['old', 'https://s3.example.com'])
  assert.equal(await accounts.provisioning.shadowSecret(await accounts.provisioning.get(id)), 'CANARY')
  // As flyctl does: all of what it was shown comes back.
  assert.equal((await patch({ ...shown, public: false })).status, 200)
  assert.equal(await read(), 403)
  assert.equal(await accounts.provisioning.shadowSecret(await accounts.provisioning.get(id)), 'CANARY')
  // Another secret alone is another shadow, too.
  const idBefore = (await shadowOf())?.id
  assert.equal((await patch({ shadow_bucket: { ...shadow, secret_key: 'ANOTHER' } })).status, 200)
  assert.notEqual((await shadowOf())?.id, idBefore)
  assert.equal(await accounts.provisioning.shadowSecret(await accounts.provisioning.get(id)), 'ANOTHER')
  const taken = await call({
    method: 'POST',
    path: base,
    fields: fieldsOf(newName(), { options: { website: { domain_name: host } } }),
  })
  assert.equal(said(taken), '409 already_exists')
  const other = newName()
  await provision({}, other)
  await assert.rejects(
    domains.set(other, host, () => {}),
    { code: 'EntityAlreadyExists' },
  )
  // What its owner says later by the other way counts.
  await domains.set(name, `new.${host}`, () => {})
  assert.equal((await patch({ public: false })).status, 200)
  assert.equal(await domainOf(), `new.${host}`)
  const cleared = await patch({ shadow_bucket: {}, website: { domain_name: '' }, accelerate: false })
  assert.deepEqual(cleared.value['options'], { public: false, accelerate: false, website: { domain_name: '' } })
  assert.equal(await accounts.provisioning.shadowSecret(await accounts.provisioning.get(id)), undefined)
  assert.equal(await shadowOf(), undefined)
  assert.equal(await domainOf(), undefined)
  assert.equal(said(await patch({ shadow_bucket: { ...shadow, secret_key: '********' } })), '422 invalid')
  await provision({ options: { website: { domain_name: host } } })
})

test('events of Fly are taken once, and only where they are signed', async () => {
  const path = `${base}/events`
  const fields = { machine_id: 'm', status: 'started' }
  assert.equal((await call({ method: 'POST', path, fields, headers: { 'ce-id': 'e1' } })).status, 204)
  assert.equal((await call({ method: 'POST', path, fields, headers: { 'ce-id': 'e1' } })).status, 204)
  assert.equal(said(await call({ method: 'POST', path, fields, signature: undefined })), '401 bad_signature')
})

test('B4: the quota of an organisation holds however many buckets are asked for at once', async () => {
  const more = { organization_id: 'fly-org-quota' }
  const { id } = await provision(more)
  const { organization } = await fly().accounts.provisioning.get(id)
  await fly().accounts.organizations.setQuota(organization, { buckets: 4 })
  const all = await Promise.all(
    Array.from({ length: 10 }, () => call({ method: 'POST', path: base, fields: fieldsOf(newName('quota'), more) })),
  )
  assert.equal(all.filter(({ status }) => status === 200).length, 3)
  assert.deepEqual(new Set(all.map(said)), new Set(['200 undefined', '422 limit_exceeded']))
  assert.equal((await fly().accounts.provisioning.list(organization)).length, 4)
})
