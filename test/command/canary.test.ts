import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Collector } from '../support/collector.ts'
import { freePorts } from '../support/free-ports.ts'
import { callQuery } from '../support/query-client.ts'
import { administrator, ServerProcess } from '../support/server-process.ts'
import { type Answer, type Call, SignedClient } from '../support/signed-client.ts'
import { meridian } from './command.ts'

const folder = mkdtempSync(join(tmpdir(), 'meridian-canary-'))
const running: ServerProcess[] = []
let collector: Collector | undefined
after(async () => {
  for (const server of running) await server.kill()
  await collector?.close()
  rmSync(folder, { recursive: true, force: true })
})

/** A secret like no other text: where it comes up, it was told. */
const canary = (): string => `canary${randomBytes(16).toString('hex')}`

interface Line {
  readonly operation: string
  readonly status: number
  readonly error?: string
  readonly accessKey?: string
  readonly key?: string
  readonly time: string
}

test('what happens is logged, audited and traced, and no secret ever is, at any level', async () => {
  const data = join(folder, 'data')
  const audit = join(folder, 'audit.log')
  const cluster = canary()
  writeFileSync(join(folder, 'secret'), cluster)
  collector = await Collector.start()
  const token = canary()
  const server = await ServerProcess.start({
    data,
    workers: 1,
    flags: [
      ...['--log-level', 'debug', '--access-log', 'true', '--audit-log', audit, '--region', 'fra'],
      ...['--cluster-secret-file', join(folder, 'secret'), '--peer-port', String(await freePorts(1))],
      ...['--trace-endpoint', collector.endpoint],
    ],
    environment: { OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${token}` },
    patience: 200_000,
  })
  running.push(server)
  const client = new SignedClient(server.endpoint, administrator)
  const secrets = new Set<string>([cluster, token, administrator.secretKey])
  /** Signatures are worth a request each, as long as they are good. */
  const send = async (call: Call, by = client): Promise<Answer> => {
    const { headers, path } = by.signed(call)
    const signature = /Signature=([0-9a-f]{64})/.exec(headers['authorization'] ?? '')?.[1]
    assert.ok(signature !== undefined)
    const response = await fetch(`${server.endpoint}${path}`, {
      method: call.method,
      headers: Object.fromEntries(
        Object.entries(headers).filter(([name]) => !['host', 'content-length'].includes(name)),
      ),
      ...(call.body !== undefined && { body: Buffer.from(call.body) }),
    })
    secrets.add(signature)
    return { status: response.status, headers: {}, body: Buffer.from(await response.arrayBuffer()) }
  }
  const iam = { accessKeyId: administrator.accessKey, secretAccessKey: administrator.secretKey }

  assert.equal((await send({ method: 'PUT', path: '/box' })).status, 200)
  assert.equal((await send({ method: 'PUT', path: '/box/key', body: Buffer.from('x') })).status, 200)
  // A customer's key of encryption.
  const customerKey = randomBytes(32)
  secrets.add(customerKey.toString('base64')).add(customerKey.toString('hex'))
  const encryption = {
    'x-amz-server-side-encryption-customer-algorithm': 'AES256',
    'x-amz-server-side-encryption-customer-key': customerKey.toString('base64'),
    'x-amz-server-side-encryption-customer-key-md5': createHash('md5').update(customerKey).digest('base64'),
  }
  assert.equal(
    (await send({ method: 'PUT', path: '/box/sealed', headers: encryption, body: Buffer.from('x') })).status,
    200,
  )
  assert.equal((await send({ method: 'GET', path: '/box/sealed' })).status, 400)
  // Keys that are made and shown once.
  assert.equal((await callQuery(server.endpoint, 'iam', iam, { Action: 'CreateUser', UserName: 'eve' })).code, 'ok')
  const made = await callQuery(server.endpoint, 'iam', iam, { Action: 'CreateAccessKey', UserName: 'eve' })
  const [id, secret] = [made.element('AccessKeyId'), made.element('SecretAccessKey')]
  assert.ok(id !== '' && secret !== '', made.text)
  secrets.add(secret)
  const eve = new SignedClient(server.endpoint, { accessKey: id, secretKey: secret })
  assert.equal((await send({ method: 'DELETE', path: '/box/key' }, eve)).status, 403)
  const liar = new SignedClient(server.endpoint, { accessKey: id, secretKey: canary() })
  assert.equal((await send({ method: 'GET', path: '/box/key' }, liar)).status, 403)
  // Secrets where they do not belong: in a query, in a header, in a body that is refused.
  const loose = canary()
  secrets.add(loose)
  for (const path of [
    `/box/key?X-Amz-Security-Token=${loose}&X-Amz-Signature=${loose}`,
    `/box?AWSAccessKeyId=x&Signature=${loose}&Expires=1`,
  ]) {
    await fetch(`${server.endpoint}${path}`).then((response) => response.arrayBuffer())
  }
  await fetch(`${server.endpoint}/box/key`, {
    headers: { authorization: `AWS4-HMAC-SHA256 ${loose}`, 'x-amz-security-token': loose },
  })
  const assuming = { WebIdentityToken: loose, RoleArn: 'arn:aws:iam:::role/x', RoleSessionName: 'x' }
  await callQuery(server.endpoint, 'sts', undefined, { Action: 'AssumeRoleWithWebIdentity', ...assuming })
  // Given on a command line, beside the server.
  const given = canary()
  secrets.add(given)
  const user = (JSON.parse(readFileSync(audit, 'utf8').split('\n', 1)[0] ?? '') as { account: string }).account
  await meridian('keys', 'create', '--user', user, '--access-key', 'CANARYKEY', '--secret-key', given, '--data', data)
  assert.equal(await server.stop(), 0)
  for (const each of [client, eve, liar]) each.close()

  const audited = readFileSync(audit, 'utf8')
  const lines = audited
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line)
  const found = (operation: string, status: number) =>
    lines.filter((line) => line.operation === operation && line.status === status)
  assert.equal(found('CreateBucket', 200)[0]?.accessKey, administrator.accessKey, audited)
  assert.equal(found('PutObject', 200).length, 2)
  assert.equal(found('CreateAccessKey', 200)[0]?.accessKey, administrator.accessKey)
  const [denied] = found('DeleteObject', 403)
  assert.deepEqual([denied?.accessKey, denied?.error, denied?.key], [id, 'AccessDenied', 'key'])
  assert.ok(lines.some(({ error, status }) => error === 'SignatureDoesNotMatch' && status === 403))
  // Reads that were let through are the access log's.
  assert.equal(lines.filter(({ operation, status }) => operation === 'GetObject' && status < 400).length, 0)
  for (const { time } of lines) assert.ok(!Number.isNaN(Date.parse(time)))
  assert.equal(statSync(audit).mode & 0o077, 0)

  const logged = server.errors
  assert.ok(logged.includes('"operation":"CreateAccessKey"') && logged.includes('"target":"/box/sealed"'))
  const { spans, text: traced, requests } = collector
  assert.ok(requests.every(({ headers }) => headers.authorization === `Bearer ${token}`))
  for (const name of [
    'S3 PutObject',
    'S3 CreateAccessKey',
    'S3 DeleteObject',
    'authenticate',
    'metadata transaction',
  ]) {
    assert.ok(
      spans.some((span) => span.name === name),
      `${name} is traced`,
    )
  }
  // The access log tells keys of objects here; and its lines say of which trace they are.
  assert.ok(spans.some(({ attributes }) => attributes['aws.s3.key'] === 'sealed'))
  const [put] = spans.filter((span) => span.name === 'S3 PutObject')
  const line = logged.split('\n').find((each) => each.includes(String(put?.attributes['aws.request_id'])))
  assert.deepEqual(
    [JSON.parse(line ?? '{}') as object].map((each) => 'traceId' in each && each.traceId),
    [put?.traceId],
  )
  assert.ok(secrets.size >= 13)
  for (const each of secrets) {
    assert.ok(!logged.includes(each), 'a secret is in the log')
    assert.ok(!audited.includes(each), 'a secret is in the audit log')
    assert.ok(!traced.includes(each), 'a secret is in a trace')
  }
})
