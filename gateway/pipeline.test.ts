import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { Fault } from '#src/errors.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { anonymous } from '#src/model/identity.ts'
import type { Services } from '#src/service/services.ts'
import { addressing } from './address.ts'
import { allOperations, implemented } from './operations/index.ts'
import { type Operation, operation, type RequestBody } from './operations/operation.ts'
import { everyOperation } from './operations/unimplemented.ts'
import { type PipelineParts, pipeline } from './pipeline.ts'

const address = addressing([])

const body: RequestBody = {
  length: 0,
  async *stream() {},
  collect: async () => new Uint8Array(0),
  pieces: async () => [],
  trailers: () => new Map(),
}

/** The order in which a request passes its stations. */
function stations(parts: {
  refuse?: 'signature' | 'access'
  bucket?: Partial<Bucket>
  operations?: readonly Operation[]
}) {
  const passed: string[] = []
  const one = operation({
    name: 'GetObject',
    match: { method: 'GET', scope: 'object' },
    action: 's3:GetObject',
    decode: () => void passed.push('decode'),
    run: async () => void passed.push('run'),
    encode: () => {
      passed.push('encode')
      return { status: 200 }
    },
  })
  const buckets = {
    get: async (name: string) => {
      if (parts.bucket === undefined) throw new Fault('NoSuchBucket')
      return { name, ...parts.bucket } as Bucket
    },
  }
  const authenticate: PipelineParts['authenticate'] = async (request) => {
    passed.push('authenticate')
    if (parts.refuse === 'signature') throw new Fault('SignatureDoesNotMatch')
    const refused = async () => assert.fail('no form was sent')
    return { caller: anonymous, body, headers: request.headers, authenticateForm: refused }
  }
  const authorize: PipelineParts['access']['authorize'] = async ({ action }) => {
    passed.push(`authorize ${action}`)
    if (parts.refuse === 'access') throw new Fault('AccessDenied')
    return () => {}
  }
  const route = pipeline({
    services: { buckets } as unknown as Services,
    authenticate,
    access: { authorize },
    operations: parts.operations ?? [one],
  })
  const ask = (method: string, target: string, headers: Record<string, string> = {}) =>
    route(
      {
        id: '1',
        method,
        headers: { host: 'localhost', ...headers },
        rawHeaders: [],
        stream: Readable.from([]),
        remoteAddress: '127.0.0.1',
        isSecure: false,
      },
      address(target, 'localhost'),
    )
  return { passed, ask }
}

const codeOf = (thrown: unknown): string | undefined => (thrown instanceof Fault ? thrown.code : undefined)

test('a request passes all stations in one order', async () => {
  const { passed, ask } = stations({})
  assert.equal((await ask('GET', '/b/k')).response?.status, 200)
  assert.deepEqual(passed, ['authenticate', 'decode', 'authorize s3:GetObject', 'run', 'encode'])
})

test('nothing is run for a request that is refused', async () => {
  const unsigned = stations({ refuse: 'signature' })
  assert.equal(codeOf((await unsigned.ask('GET', '/b/k')).thrown), 'SignatureDoesNotMatch')
  assert.deepEqual(unsigned.passed, ['authenticate'])
  const denied = stations({ refuse: 'access' })
  assert.equal(codeOf((await denied.ask('GET', '/b/k')).thrown), 'AccessDenied')
  assert.ok(!denied.passed.includes('run'))
  const long = stations({})
  assert.equal(codeOf((await long.ask('GET', `/b/${'k'.repeat(1_025)}`)).thrown), 'KeyTooLongError')
  assert.ok(!long.passed.includes('decode'))
})

test('what S3 has and we have not is NotImplemented, and what S3 has not is MethodNotAllowed', async () => {
  const { ask } = stations({ operations: allOperations() })
  const present = new Set(implemented.map(({ name }) => name))
  const absent = everyOperation.filter(({ name }) => !present.has(name))
  assert.ok(absent.length > 10)
  for (const { name, match } of absent) {
    const keys = match.keys ?? []
    const headers = Object.fromEntries(keys.filter((each) => each.startsWith('x-amz-')).map((each) => [each, 'x']))
    const query = keys.filter((each) => !each.startsWith('x-amz-')).join('&')
    const path = { service: '/', bucket: '/bucket', object: '/bucket/key' }[match.scope]
    const outcome = await ask(match.method, `${path}?${query}`, headers)
    assert.equal(codeOf(outcome.thrown), 'NotImplemented', name)
    assert.equal(outcome.operation, name)
  }
  for (const [method, target] of [
    ['PATCH', '/b/k'],
    ['PROPFIND', '/b'],
    ['POST', '/b/k'],
    ['DELETE', '/b/k?acl'],
  ] as const) {
    assert.equal(codeOf((await ask(method, target)).thrown), 'MethodNotAllowed', `${method} ${target}`)
  }
})

test('a bucket of another owner than expected is not touched', async () => {
  const { passed, ask } = stations({ bucket: { owner: 'ada' } })
  const expecting = (owner: string) => ask('GET', '/b/k', { 'x-amz-expected-bucket-owner': owner })
  assert.equal(codeOf((await expecting('eve')).thrown), 'AccessDenied')
  assert.ok(!passed.includes('run'))
  assert.equal((await expecting('ada')).response?.status, 200)
})

const cors = [{ allowedOrigins: ['o'], allowedMethods: ['GET'], allowedHeaders: [], exposeHeaders: [] }]

test('a preflight is answered without a signature, and every other answer tells browsers what the rules say', async () => {
  const { passed, ask } = stations({ bucket: { cors }, refuse: 'signature' })
  const preflight = await ask('OPTIONS', '/b/k', { origin: 'o', 'access-control-request-method': 'GET' })
  assert.equal(preflight.response?.headers?.['access-control-allow-origin'], 'o')
  assert.deepEqual(passed, [])
  const refused = await ask('GET', '/b/k', { origin: 'o' })
  assert.equal(codeOf(refused.thrown), 'SignatureDoesNotMatch')
  assert.equal(refused.corsHeaders?.['access-control-allow-origin'], 'o')
  assert.deepEqual((await ask('GET', '/b/k', { origin: 'p' })).corsHeaders, {})
  assert.equal(
    codeOf((await stations({}).ask('OPTIONS', '/b/k', { origin: 'o', 'access-control-request-method': 'GET' })).thrown),
    'AccessForbidden',
  )
})
