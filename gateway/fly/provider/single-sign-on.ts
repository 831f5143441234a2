import { randomBytes } from 'node:crypto'
import { cookieOf, type FlyAnswer, type FlyRequest, Refusal, type Route, redirect } from '#gateway/fly/exchange.ts'
import { html, joined, pageAnswer } from '#gateway/fly/pages.ts'
import { browserOf, cookie, type FlyParts, isOwnApi, ownSecret, providerPath } from '#gateway/fly/parts.ts'
import { newSession, toSignIn } from '#gateway/fly/sign-in.ts'
import type { Fields } from '#gateway/fly/signature.ts'
import { Fault } from '#src/errors.ts'
import { isFields, writeOptions } from '#src/model/provision.ts'
import type { SignedIn } from '#src/service/accounts/tokens.ts'
import { externalIdOf, unlessMissing } from './extensions.ts'

const stateCookie = 'meridian_state'
const stateSeconds = 600
const patienceMilliseconds = 15_000

/** What a browser came for. */
interface Wanted {
  readonly kind: 'extension' | 'organization'
  readonly id: string
}

/** Whom Fly vouches for. */
interface Vouched {
  readonly user: string
  readonly email: string
  readonly organizations: readonly { readonly id: string; readonly role: string }[]
}

/**
 * From a link of Fly's into a bucket's page: https://fly.io/docs/reference/extensions_api/#single-sign-on-flow
 *
 * V5  a browser is let in to what belongs to an organisation that Fly says its person is in, and it is the browser that asked.
 */
export class SingleSignOn {
  readonly #parts: FlyParts

  constructor(parts: FlyParts) {
    this.#parts = parts
  }

  routes(): readonly Route[] {
    const entry =
      (kind: Wanted['kind']): Route['handle'] =>
      (request, { id = '' }) =>
        this.#enter(request, { kind, id })
    return [
      { method: 'GET', path: `${providerPath}/extensions/:id/sso`, handle: entry('extension') },
      { method: 'GET', path: `${providerPath}/organizations/:id/sso`, handle: entry('organization') },
      { method: 'GET', path: `${providerPath}/callback`, handle: (request) => this.#callback(request) },
      { method: 'GET', path: '/buckets/:id', handle: (request, { id = '' }) => this.#bucketPage(request, id) },
      {
        method: 'GET',
        path: '/organizations/:id',
        handle: (request, { id = '' }) => this.#organizationPage(request, id),
      },
    ]
  }

  #client(): Promise<{ readonly id: string; readonly secret: string }> {
    return clientOf(this.#parts)
  }

  async #enter(request: FlyRequest, wanted: Wanted): Promise<FlyAnswer> {
    const who = await browserOf(this.#parts, request)
    // Whoever is in none hears the same of what is not there: to be let in they go and ask, and are refused when they are back.
    const organization = who === undefined ? undefined : await this.#organizationOf(wanted)
    if (who !== undefined && organization !== undefined && (await this.#isIn(who, organization)))
      return redirect(pageOf(wanted, organization))
    const places = this.#parts.places()
    const state = randomBytes(24).toString('base64url')
    await this.#parts.accounts.shortLived.set('state', state, wanted, stateSeconds * 1000)
    const query = new URLSearchParams({
      client_id: (await this.#client()).id,
      response_type: 'code',
      redirect_uri: `${places.public}${providerPath}/callback`,
      scope: 'read',
      state,
    })
    return redirect(`${places.api}/oauth/authorize?${query}`, {
      'set-cookie': cookie(places, stateCookie, state, stateSeconds),
    })
  }

  /** Of this store, whatever it is asked for by; undefined: there is no such thing. */
  async #organizationOf({ kind, id }: Wanted): Promise<string | undefined> {
    const { provisioning, organizations, externals } = this.#parts.accounts
    try {
      if (kind === 'extension') return (await provisioning.get(id)).organization
      return (await organizations.get((await externals.find(externalIdOf('fly', id))) ?? id)).id
    } catch (error) {
      return unlessMissing(error)
    }
  }

  async #isIn(who: SignedIn, organization: string): Promise<boolean> {
    const places = await this.#parts.accounts.organizations.placesOf(who)
    return places.some((place) => place.organization.id === organization)
  }

  async #callback(request: FlyRequest): Promise<FlyAnswer> {
    const { query } = request
    const state = query.get('state') ?? ''
    const isSame = state !== '' && cookieOf(request, stateCookie) === state
    const wanted = isSame ? await this.#parts.accounts.shortLived.take<Wanted>('state', state) : undefined
    if (wanted === undefined) throw new Refusal(400, 'bad_state', 'This sign-in was begun elsewhere, or too long ago.')
    const vouched = await this.#ask(query.get('code') ?? '')
    const organization = await this.#organizationOf(wanted)
    if (organization === undefined) throw notTheirs()
    const person = await this.#admit(vouched, organization)
    return redirect(pageOf(wanted, organization), { 'set-cookie': await newSession(this.#parts, person) })
  }

  /** Whom the code stands for, in Fly's words. */
  async #ask(code: string): Promise<Vouched> {
    const { api, public: own } = this.#parts.places()
    // This server may have another name outside than what it reaches itself at.
    const base = isOwnApi(this.#parts.places()) ? this.#parts.places().local : api
    const { id, secret } = await this.#client()
    const signal = AbortSignal.timeout(patienceMilliseconds)
    const token = await fetch(`${base}/oauth/token`, {
      method: 'POST',
      body: new URLSearchParams({
        client_id: id,
        client_secret: secret,
        grant_type: 'authorization_code',
        code,
        redirect_uri: `${own}${providerPath}/callback`,
      }),
      redirect: 'error',
      signal,
    })
    const { access_token: word } = await fieldsOf(token)
    const info = await fetch(`${base}/oauth/token/info`, {
      headers: { authorization: `Bearer ${String(word)}` },
      redirect: 'error',
      signal,
    })
    return vouchedOf(await fieldsOf(info))
  }

  /** Gives the id of the person here, once they are in that organisation by what Fly says. */
  async #admit({ user, email, organizations: theirs }: Vouched, organization: string): Promise<string> {
    const { accounts } = this.#parts
    const found = await accounts.organizations.get(organization)
    const place = theirs.find(({ id }) => id === found.id || externalIdOf('fly', id) === found.externalId)
    const isOwn = isOwnApi(this.#parts.places())
    if (place === undefined || isOwn !== (place.id === found.id)) throw notTheirs()
    // Fly, where it is this server itself, knows nobody but who is here.
    if (isOwn) return (await accounts.people.get(user)).id
    const person = { externalId: externalIdOf('fly', user), email, isAdmin: place.role === 'admin' }
    return (await accounts.externals.admit({ externalId: externalIdOf('fly', place.id), name: found.name, person })).id
  }

  async #bucketPage(request: FlyRequest, id: string): Promise<FlyAnswer> {
    const { accounts } = this.#parts
    const who = await browserOf(this.#parts, request)
    if (who === undefined) return toSignIn(request)
    const found = await accounts.provisioning.get(id)
    const { organization } = await accounts.organizations.authorize(who, found.organization, 'buckets:read')
    const { public: isPublic, accelerate, website } = writeOptions(found.options)
    const domain = isFields(website) ? String(website['domain_name']) : ''
    return pageAnswer({
      title: found.bucket,
      body: html`<p>A bucket of <a href="/organizations/${organization.id}">${organization.name}</a>.</p>
<dl><dt>Public</dt><dd>${isPublic === true ? 'yes' : 'no'}</dd><dt>Accelerated</dt><dd>${accelerate === true ? 'yes' : 'no'}</dd>
<dt>Domain</dt><dd>${domain === '' ? 'none' : domain}</dd><dt>Access key</dt><dd><code>${found.accessKeyId}</code></dd></dl>`,
    })
  }

  async #organizationPage(request: FlyRequest, id: string): Promise<FlyAnswer> {
    const { accounts } = this.#parts
    const who = await browserOf(this.#parts, request)
    if (who === undefined) return toSignIn(request)
    const { organization } = await accounts.organizations.authorize(who, id, 'buckets:read')
    const buckets = await accounts.provisioning.list(organization.id)
    const items = buckets.map((each) => html`<li><a href="/buckets/${each.id}">${each.bucket}</a></li>`)
    const body = items.length === 0 ? html`<p>There are no buckets yet.</p>` : html`<ul>${joined(items)}</ul>`
    const members = `/organizations/${encodeURIComponent(organization.id)}/members`
    return pageAnswer({ title: organization.name, body: html`${body}<p><a href="${members}">Members</a></p>` })
  }
}

const notTheirs = (): Refusal =>
  new Refusal(403, 'forbidden', 'There is no such thing in an organization of yours: you are not in it, or it is gone.')

const pageOf = ({ kind, id }: Wanted, organization: string): string =>
  kind === 'extension' ? `/buckets/${encodeURIComponent(id)}` : `/organizations/${encodeURIComponent(organization)}`

/** By what the OAuth server knows this store. */
export async function clientOf({ accounts, fly }: FlyParts): Promise<{ readonly id: string; readonly secret: string }> {
  return fly.oauth() ?? { id: 'meridian', secret: await accounts.secrets.get(ownSecret.oauth) }
}

async function fieldsOf(response: Response): Promise<Fields> {
  const value: unknown = response.ok ? await response.json().catch(() => undefined) : undefined
  if (isFields(value)) return value
  await response.body?.cancel().catch(() => undefined)
  throw new Fault('AccessDenied', { message: 'The sign-in was not confirmed.' })
}

/** What the API says of a token. Before August 2023 it named organisations by their ids alone. Fault `AccessDenied` where it names nobody. */
function vouchedOf(info: Fields): Vouched {
  const { organizations, organization_ids: ids, user_id: user, email } = info
  const isNamed = (typeof user === 'string' && user !== '') || typeof user === 'number'
  // All those without a name would be one person.
  if (!isNamed) throw new Fault('AccessDenied', { message: 'The sign-in was not confirmed.' })
  const listed: readonly unknown[] = Array.isArray(organizations) ? organizations : Array.isArray(ids) ? ids : []
  return {
    user: String(user),
    email: String(email ?? ''),
    organizations: listed.map((each) =>
      isFields(each)
        ? { id: String(each['id']), role: String(each['role'] ?? 'member') }
        : { id: String(each), role: 'member' },
    ),
  }
}
