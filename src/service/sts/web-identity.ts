import { verify as verifySignature } from 'node:crypto'
import { Fault } from '#src/errors.ts'
import { issuerOf, type Provider, type TagList } from '#src/model/iam.ts'
import type { World } from '#src/world.ts'
import type { IssuerKeys, VerifyingKey } from './issuer-keys.ts'

/** Somebody whom an issuer knows. */
export interface WebIdentity {
  readonly subject: string
  readonly audience: string
  /** Of conditions, without the issuer in front: `sub`, `aud`, `azp` … */
  readonly claims: ReadonlyMap<string, readonly string[]>
  readonly tags: TagList
}

const invalid = (message: string): Fault => new Fault('InvalidIdentityToken', { message })

type Claims = Readonly<Record<string, unknown>>

interface Token {
  readonly header: Claims
  readonly claims: Claims
  /** What is signed. */
  readonly text: string
  readonly signature: Buffer
}

/** https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html */
const tokenLengthMost = 20_000

function decoded(part: string | undefined): Claims {
  try {
    const value: unknown = JSON.parse(Buffer.from(part ?? '', 'base64url').toString('utf8'))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Claims
  } catch {
    // Answered below as every other token that is none.
  }
  throw invalid('The web identity token is not a JSON Web Token.')
}

function parse(token: string): Token {
  const parts = token.split('.')
  if (token.length > tokenLengthMost || parts.length !== 3)
    throw invalid('The web identity token is not a JSON Web Token.')
  const [header, claims, signature = ''] = parts
  return {
    header: decoded(header),
    claims: decoded(claims),
    text: `${header}.${claims}`,
    signature: Buffer.from(signature, 'base64url'),
  }
}

/** RFC 7518. What names no public key is not among them: `none`, and the HMACs that a public key could be taken for. */
const algorithms: ReadonlyMap<string, { readonly hash: string; readonly type: string; readonly curve?: string }> =
  new Map([
    ['RS256', { hash: 'sha256', type: 'rsa' }],
    ['RS384', { hash: 'sha384', type: 'rsa' }],
    ['RS512', { hash: 'sha512', type: 'rsa' }],
    ['ES256', { hash: 'sha256', type: 'ec', curve: 'prime256v1' }],
    ['ES384', { hash: 'sha384', type: 'ec', curve: 'secp384r1' }],
  ])

function isSigned({ header, text, signature }: Token, { key, algorithm }: VerifyingKey): boolean {
  const alg = String(header['alg'])
  const known = algorithms.get(alg)
  if (known === undefined || (algorithm !== undefined && algorithm !== alg)) return false
  // No RSA key has a curve, and no other key a modulus: so neither is used by the other's algorithms.
  if (known.curve !== undefined && key.asymmetricKeyDetails?.namedCurve !== known.curve) return false
  // And an RSA key of a few bits is nobody's secret.
  if (known.type === 'rsa' && (key.asymmetricKeyDetails?.modulusLength ?? 0) < 2048) return false
  return verifySignature(known.hash, Buffer.from(text, 'latin1'), { key, dsaEncoding: 'ieee-p1363' }, signature)
}

const texts = (value: unknown): readonly string[] =>
  (Array.isArray(value) ? value : [value])
    .filter((each) => typeof each === 'string' || typeof each === 'number' || typeof each === 'boolean')
    .map(String)

/** Clocks differ. */
const leewaySeconds = 60

function checkTime({ exp, nbf, iat }: { exp?: unknown; nbf?: unknown; iat?: unknown }, now: number): void {
  if (typeof exp !== 'number') throw invalid('Missing a required claim: exp')
  if (now / 1000 >= exp)
    throw new Fault('ExpiredToken', {
      message: 'Token expired: current date/time must be before the expiration date/time',
    })
  for (const each of [nbf, iat]) {
    if (typeof each === 'number' && now / 1000 + leewaySeconds < each) throw invalid('The token is not valid yet.')
  }
}

const tagsClaim = 'https://aws.amazon.com/tags'

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_adding-assume-role-idp */
function tagsOf(claims: Claims): TagList {
  const found = claims[tagsClaim]
  if (found === undefined) return []
  const principal = (found as { principal_tags?: unknown } | null)?.principal_tags
  if (typeof principal !== 'object' || principal === null) throw invalid('The claim of session tags is malformed.')
  return Object.entries(principal).map(([key, value]) => {
    const values = texts(value)
    const [only] = values
    if (only === undefined || values.length > 1) throw invalid(`The session tag ${key} must have one value.`)
    return [key, only] as const
  })
}

/**
 * Verifies tokens of OpenID Connect.
 *
 * I13 a token counts only if a key that its issuer publishes signed it, for an audience that the provider lists, and it is
 *     not behind its time; its own header chooses among the issuer's keys and brings none.
 */
export class WebIdentities {
  readonly #world: World
  readonly #keys: IssuerKeys

  constructor(parts: { readonly world: World; readonly keys: IssuerKeys }) {
    this.#world = parts.world
    this.#keys = parts.keys
  }

  /** Whom the token says that it is from, without its scheme; not verified. */
  issuerOf(token: string): string {
    const { iss } = parse(token).claims
    if (typeof iss !== 'string' || iss === '') throw invalid('Missing a required claim: iss')
    return issuerOf(iss)
  }

  async verify(provider: Provider, text: string): Promise<WebIdentity> {
    const token = parse(text)
    const { claims, header } = token
    if (claims['iss'] !== provider.url) throw invalid('The issuer of the token is not the provider.')
    checkTime(claims, this.#world.now())
    const { sub, azp } = claims
    if (typeof sub !== 'string' || sub === '') throw invalid('Missing a required claim: sub')
    const audiences = texts(claims['aud'])
    const audience = typeof azp === 'string' ? azp : (audiences[0] ?? '')
    const isListed = [...audiences, audience].some((each) => provider.clients.includes(each))
    // A provider without clients is for all of the issuer's, as ceph has it; trust policies may name them.
    if (provider.clients.length > 0 && !isListed) throw invalid('Incorrect token audience')

    const kid = typeof header['kid'] === 'string' ? header['kid'] : undefined
    const keys = await this.#keys.of(provider, kid)
    if (!keys.some((each) => isSigned(token, each)))
      throw invalid("Couldn't retrieve verification key from your identity provider")
    return { subject: sub, audience, claims: conditionsOf(claims, audience, audiences), tags: tagsOf(claims) }
  }
}

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-wif */
function conditionsOf(claims: Claims, audience: string, audiences: readonly string[]): WebIdentity['claims'] {
  const values = new Map<string, readonly string[]>()
  for (const [name, value] of Object.entries(claims)) {
    const given = texts(value)
    if (given.length > 0) values.set(name, given)
  }
  values.set('aud', [audience])
  values.set('oaud', audiences)
  values.set('app_id', audiences)
  return values
}
