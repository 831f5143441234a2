import { generateKeyPairSync, type KeyObject, sign, X509Certificate } from 'node:crypto'
import { createServer } from 'node:http'
import { selfSigned } from './certificate.ts'

/**
 * A small issuer of web identities, as the suite wants one: it asks for it at just this address, in plain HTTP, so that what
 * vouches for its keys is the thumbprint of the certificate that they come in.
 */
const port = 8080
const realm = 'demorealm'
const issuer = `http://localhost:${port}/auth/realms/${realm}`
const keyId = 'compat'

/** What the suite's settings say of the issuer and its people. */
export interface WebIdentitySettings {
  readonly token: string
  readonly userToken: string
  readonly aud: string
  readonly sub: string
  readonly azp: string
  readonly thumbprint: string
  readonly realm: string
}

export interface Issuer extends AsyncDisposable {
  readonly settings: WebIdentitySettings
}

const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

function signed(claims: object, key: KeyObject): string {
  const text = `${encoded({ alg: 'RS256', typ: 'JWT', kid: keyId })}.${encoded(claims)}`
  return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`
}

export async function startIssuer(): Promise<Issuer> {
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const certificate = selfSigned('Compat issuer', pair)
  const jwk = pair.publicKey.export({ format: 'jwk' })
  const documents = new Map<string, object>([
    [`/auth/realms/${realm}/.well-known/openid-configuration`, { issuer, jwks_uri: `${issuer}/certs` }],
    [
      `/auth/realms/${realm}/certs`,
      { keys: [{ ...jwk, kid: keyId, use: 'sig', alg: 'RS256', x5c: [certificate.toString('base64')] }] },
    ],
  ])
  const server = createServer((request, response) => {
    const document = documents.get(request.url ?? '')
    response.writeHead(document === undefined ? 404 : 200, { 'content-type': 'application/json' })
    response.end(document === undefined ? '' : JSON.stringify(document))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, 'localhost', resolve)
  })
  const now = Math.floor(Date.now() / 1000)
  const [aud, sub, azp] = ['account', '5ad0ea1c-5ea1-4b1e-9f5e-2e0fc0ffee00', 'testclient']
  const claims = { iss: issuer, aud, sub, azp, iat: now, exp: now + 86_400 }
  // AWS knows one value of a tag: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
  const tags = { principal_tags: { Department: ['Engineering'] }, transitive_tag_keys: ['Department'] }
  return {
    settings: {
      token: signed(claims, pair.privateKey),
      userToken: signed({ ...claims, 'https://aws.amazon.com/tags': tags }, pair.privateKey),
      aud,
      sub,
      azp,
      thumbprint: new X509Certificate(certificate).fingerprint.replaceAll(':', ''),
      realm,
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
