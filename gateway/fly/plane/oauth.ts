import { timingSafeEqual } from 'node:crypto'
import { type FlyAnswer, type FlyRequest, jsonAnswer, Refusal, type Route, redirect } from '#gateway/fly/exchange.ts'
import { browserOf, type FlyParts, ownSecret, providerPath } from '#gateway/fly/parts.ts'
import { formOf, toSignIn } from '#gateway/fly/sign-in.ts'
import { mayIn } from '#src/model/organization.ts'
import { hashOf, newSecret } from '#src/service/accounts/tokens.ts'

const codeMilliseconds = 60_000
const accessSeconds = 7_200

interface Granted {
  readonly person: string
  readonly redirect: string
}

const isSame = (one: string, other: string): boolean =>
  timingSafeEqual(Buffer.from(hashOf(one)), Buffer.from(hashOf(other)))

const oauthError = (status: number, error: string): FlyAnswer => jsonAnswer(status, { error })

/**
 * The part of OAuth by which the provider asks who somebody is, played for this store's own people: https://www.rfc-editor.org/rfc/rfc6749
 *
 * V6  a code is good once, for a minute, for the address that it was asked for; what it gives says who somebody is, and opens nothing.
 */
export class OAuth {
  readonly #parts: FlyParts

  constructor(parts: FlyParts) {
    this.#parts = parts
  }

  routes(): readonly Route[] {
    return [
      { method: 'GET', path: '/oauth/authorize', handle: (request) => this.#authorize(request) },
      { method: 'POST', path: '/oauth/token', handle: (request) => this.#token(request) },
      { method: 'GET', path: '/oauth/token/info', handle: (request) => this.#info(request) },
    ]
  }

  #redirectUri(): string {
    return `${this.#parts.places().public}${providerPath}/callback`
  }

  async #authorize(request: FlyRequest): Promise<FlyAnswer> {
    const { query } = request
    const redirectUri = query.get('redirect_uri')
    const isKnown = query.get('client_id') === 'meridian' && redirectUri === this.#redirectUri()
    if (!isKnown || redirectUri === null)
      throw new Refusal(400, 'invalid_client', 'No such program signs people in here.')
    if (query.get('response_type') !== 'code') throw new Refusal(400, 'invalid_request', 'Only codes are given here.')
    const who = await browserOf(this.#parts, request)
    if (who === undefined) return toSignIn(request)
    const code = newSecret(this.#parts.world)
    const granted: Granted = { person: who.person.id, redirect: redirectUri }
    await this.#parts.accounts.shortLived.set('code', hashOf(code), granted, codeMilliseconds)
    const state = query.get('state')
    return redirect(`${redirectUri}?${new URLSearchParams({ code, ...(state !== null && { state }) })}`)
  }

  async #token(request: FlyRequest): Promise<FlyAnswer> {
    const given = formOf(request)
    const secret = await this.#parts.accounts.secrets.get(ownSecret.oauth)
    const isClient = given.get('client_id') === 'meridian' && isSame(given.get('client_secret') ?? '', secret)
    if (!isClient) return oauthError(401, 'invalid_client')
    if (given.get('grant_type') !== 'authorization_code') return oauthError(400, 'unsupported_grant_type')
    const { shortLived } = this.#parts.accounts
    const granted = await shortLived.take<Granted>('code', hashOf(given.get('code') ?? ''))
    if (granted === undefined || granted.redirect !== given.get('redirect_uri')) return oauthError(400, 'invalid_grant')
    const token = newSecret(this.#parts.world)
    await shortLived.set('access', hashOf(token), granted.person, accessSeconds * 1000)
    return jsonAnswer(200, {
      access_token: token,
      token_type: 'Bearer',
      expires_in: accessSeconds,
      scope: 'read',
      created_at: Math.floor(this.#parts.world.now() / 1000),
    })
  }

  async #info({ headers }: FlyRequest): Promise<FlyAnswer> {
    const { accounts } = this.#parts
    const [, token = ''] = /^Bearer (.+)$/i.exec(headers['authorization'] ?? '') ?? []
    const id = await accounts.shortLived.get<string>('access', hashOf(token))
    if (id === undefined) return oauthError(401, 'invalid_token')
    const person = await accounts.people.get(id)
    const memberships = await accounts.organizations.membershipsOf(id)
    return jsonAnswer(200, {
      resource_owner_id: person.id,
      user_id: person.id,
      user_name: person.name,
      email: person.email,
      organizations: memberships.map(({ organization, role }) => ({
        id: organization,
        role: mayIn(role, 'members:change') ? 'admin' : 'member',
      })),
      scope: ['read'],
      expires_in: accessSeconds,
      application: { uid: 'meridian' },
    })
  }
}
