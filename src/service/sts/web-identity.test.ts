import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync, type KeyObject, sign, X509Certificate } from 'node:crypto'
import { createServer } from 'node:http'
import { createServer as createSafeServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { selfSigned } from '#compat/s3-tests/certificate.ts'
import { Fault } from '#src/errors.ts'
import type { Provider } from '#src/model/iam.ts'
import { realWorld } from '#src/world.ts'
import { IssuerKeys } from './issuer-keys.ts'
import { WebIdentities } from './web-identity.ts'

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 })
const certificate = selfSigned('issuer', rsa)
const strangers = selfSigned('stranger', stranger)
const fingerprint = new X509Certificate(certificate).fingerprint.replaceAll(':', '')

let issuer = ''
let asked = 0
let published: object[] = []
const server = createServer((request, response) => {
  asked++
  const isDiscovery = request.url === '/.well-known/openid-configuration'
  response.end(JSON.stringify(isDiscovery ? { issuer, jwks_uri: `${issuer}/keys` } : { keys: published }))
})

const jwk = (pair: typeof rsa, kid: string, cert: Buffer): object => ({
  ...pair.publicKey.export({ format: 'jwk' }),
  kid,
  use: 'sig',
  alg: 'RS256',
  x5c: [cert.toString('base64')],
})

before(async () => {
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  published = [jwk(rsa, 'one', certificate)]
})
after(() => {
  server.closeAllConnections()
  server.close()
})

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

function token(claims: object = {}, header: object = {}, key: KeyObject = rsa.privateKey): string {
  const now = Math.floor(Date.now() / 1000)
  const all = { iss: issuer, aud: 'app', sub: 'ann', exp: now + 60, iat: now, ...claims }
  const text = `${part({ alg: 'RS256', kid: 'one', ...header })}.${part(all)}`
  return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`
}

const provider = (change: Partial<Provider> = {}): Provider => ({
  url: issuer,
  clients: ['app'],
  thumbprints: [fingerprint],
  created: 0,
  tags: [],
  ...change,
})

async function outcome(text: string, by: Provider = provider()): Promise<string> {
  const identities = new WebIdentities({ world: realWorld, keys: new IssuerKeys(realWorld, 'any') })
  try {
    const { subject } = await identities.verify(by, text)
    return subject
  } catch (error) {
    assert.ok(error instanceof Fault, String(error))
    return error.code
  }
}

test('I13: a token that its issuer signed for a listed audience tells who it is', async () => {
  const identities = new WebIdentities({ world: realWorld, keys: new IssuerKeys(realWorld, 'any') })
  const tags = { 'https://aws.amazon.com/tags': { principal_tags: { team: ['red'] } } }
  const found = await identities.verify(provider(), token({ azp: 'app', ...tags }))
  assert.equal(found.subject, 'ann')
  assert.equal(found.audience, 'app')
  assert.deepEqual(found.claims.get('sub'), ['ann'])
  assert.deepEqual(found.tags, [['team', 'red']])
  assert.equal(await outcome(token({ aud: ['x', 'app'] })), 'ann')
  assert.equal(await outcome(token(), provider({ clients: [] })), 'ann')
})

test('I13: what is signed otherwise, by others or not at all is refused', async () => {
  const [header = '', claims = '', signature = ''] = token().split('.')
  const hmac = (alg: string): string => {
    const text = `${part({ alg, kid: 'one' })}.${claims}`
    const secret = rsa.publicKey.export({ type: 'spki', format: 'pem' })
    return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
  }
  const forged = {
    'no signature': `${header}.${claims}.`,
    none: `${part({ alg: 'none', kid: 'one' })}.${claims}.`,
    'an HMAC by the public key': hmac('HS256'),
    'an HMAC that calls itself RS256': hmac('RS256'),
    'other claims': `${header}.${part({ iss: issuer, aud: 'app', sub: 'root', exp: 9e9 })}.${signature}`,
    'another key': token({}, {}, stranger.privateKey),
    'a key that it brings': token({}, { jwk: jwk(stranger, 'one', strangers), kid: 'x' }, stranger.privateKey),
    'an unknown key': token({}, { kid: 'two' }),
    'no token': 'a.b',
  }
  for (const [name, text] of Object.entries(forged)) {
    assert.equal(await outcome(text), 'InvalidIdentityToken', name)
  }
})

test('I13: a signature counts under the name of its own algorithm alone', async () => {
  const pair = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const cert = selfSigned('curve', pair)
  const { fingerprint: print } = new X509Certificate(cert)
  published = [{ ...pair.publicKey.export({ format: 'jwk' }), kid: 'ec', x5c: [cert.toString('base64')] }]
  const by = provider({ thumbprints: [print.replaceAll(':', '')] })
  const signed = (alg: string): string => {
    const text = `${part({ alg, kid: 'ec' })}.${token().split('.')[1]}`
    const key = { key: pair.privateKey, dsaEncoding: 'ieee-p1363' } as const
    return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`
  }
  assert.equal(await outcome(signed('ES256'), by), 'ann')
  assert.equal(await outcome(signed('RS256'), by), 'InvalidIdentityToken')
  assert.equal(await outcome(signed('ES384'), by), 'InvalidIdentityToken')
  published = [jwk(rsa, 'one', certificate)]
})

test('I13: another audience, another issuer and another time are refused', async () => {
  const now = Math.floor(Date.now() / 1000)
  assert.equal(await outcome(token({ aud: 'other' })), 'InvalidIdentityToken')
  assert.equal(await outcome(token({ iss: `${issuer}/` })), 'InvalidIdentityToken')
  assert.equal(await outcome(token({ exp: now - 1 })), 'ExpiredToken')
  assert.equal(await outcome(token({ exp: undefined })), 'InvalidIdentityToken')
  assert.equal(await outcome(token({ nbf: now + 600 })), 'InvalidIdentityToken')
  assert.equal(await outcome(token({ sub: undefined })), 'InvalidIdentityToken')
  const tags = { 'https://aws.amazon.com/tags': { principal_tags: { team: ['red', 'blue'] } } }
  assert.equal(await outcome(token(tags)), 'InvalidIdentityToken')
})

test('I13: over plain HTTP only a key in a pinned certificate counts', async () => {
  assert.equal(await outcome(token(), provider({ thumbprints: ['0'.repeat(40)] })), 'InvalidIdentityToken')
  published = [jwk(rsa, 'one', certificate), jwk(stranger, 'two', strangers)]
  assert.equal(await outcome(token({}, { kid: 'two' }, stranger.privateKey)), 'InvalidIdentityToken')
  // A certificate beside the key says nothing of a key that is not in it.
  published = [{ ...jwk(stranger, 'two', certificate) }]
  assert.equal(await outcome(token({}, { kid: 'two' }, stranger.privateKey)), 'InvalidIdentityToken')
  published = [jwk(rsa, 'one', certificate)]
})

test('keys are asked for once, and again for one that is not among them', async () => {
  let time = 0
  const keys = new IssuerKeys({ monotonic: () => time }, 'any')
  const identities = new WebIdentities({ world: realWorld, keys })
  asked = 0
  await identities.verify(provider(), token())
  await identities.verify(provider(), token())
  assert.equal(asked, 2)
  time = 20_000
  await assert.rejects(identities.verify(provider(), token({}, { kid: 'three' })))
  assert.equal(asked, 4)
  await assert.rejects(identities.verify(provider(), token({}, { kid: 'four' })))
  assert.equal(asked, 4, 'strangers do not make it ask for ever')
})

test('I14: an issuer on this machine is not asked where only public ones may be, by number or by name', async () => {
  const { port } = new URL(issuer)
  asked = 0
  for (const host of ['127.0.0.1', 'localhost', '[::1]', '[::ffff:127.0.0.1]', '2130706433']) {
    for (const reach of ['public', 'private'] as const) {
      const url = `http://${host}:${port}`
      const keys = new IssuerKeys(realWorld, reach)
      await assert.rejects(keys.of(provider({ url }), 'one'), /--issuer-endpoints/)
      await assert.rejects(keys.of(provider({ url: url.replace('http:', 'https:') }), 'one'), /--issuer-endpoints/)
    }
  }
  assert.equal(asked, 0)
  assert.equal((await new IssuerKeys(realWorld, 'any').of(provider(), 'one')).length, 1)
  assert.equal(asked, 2)
})

test('I13: over HTTPS, whom no authority vouches for needs a thumbprint', async () => {
  const pem = new X509Certificate(certificate).toString()
  const key = rsa.privateKey.export({ type: 'pkcs8', format: 'pem' })
  let url = ''
  // What it publishes has no certificate: the way that it came is what vouches for it.
  const plain = { ...rsa.publicKey.export({ format: 'jwk' }), kid: 'one' }
  const safe = createSafeServer({ key, cert: pem }, (request, response) => {
    const isDiscovery = request.url?.endsWith('openid-configuration') === true
    response.end(JSON.stringify(isDiscovery ? { issuer: url, jwks_uri: `${url}/keys` } : { keys: [plain] }))
  })
  await new Promise<void>((resolve) => void safe.listen(0, '127.0.0.1', resolve))
  url = `https://127.0.0.1:${(safe.address() as AddressInfo).port}`
  try {
    const colons = new X509Certificate(certificate).fingerprint.toLowerCase()
    for (const thumbprints of [[fingerprint], ['0'.repeat(40), colons]]) {
      assert.equal(await outcome(token({ iss: url }), provider({ url, thumbprints })), 'ann')
    }
    for (const thumbprints of [[], ['0'.repeat(40)]]) {
      assert.equal(await outcome(token({ iss: url }), provider({ url, thumbprints })), 'IDPCommunicationError')
    }
  } finally {
    safe.closeAllConnections()
    safe.close()
  }
})

test('an issuer that cannot be reached is told as one', async () => {
  const gone = provider({ url: 'http://127.0.0.1:1' })
  assert.equal(await outcome(token({ iss: gone.url }), gone), 'IDPCommunicationError')
})
