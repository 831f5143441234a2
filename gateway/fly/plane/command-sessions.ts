import { createHash, randomBytes } from 'node:crypto'
import {
  type FlyAnswer,
  type FlyRequest,
  jsonAnswer,
  jsonOf,
  type Parameters,
  Refusal,
  type Route,
} from '#gateway/fly/exchange.ts'
import { html, pageAnswer } from '#gateway/fly/pages.ts'
import { browserOf, type FlyParts } from '#gateway/fly/parts.ts'
import { checkOrigin, formOf, toSignIn } from '#gateway/fly/sign-in.ts'
import { Fault } from '#src/errors.ts'
import { isFields } from '#src/model/provision.ts'
import { hashOf } from '#src/service/accounts/tokens.ts'
import { alphanumeric, randomId, randomWord } from '#src/service/random-words.ts'

const sessionMilliseconds = 15 * 60_000
/** flyctl asks people to sign in anew after as long. */
const tokenMilliseconds = 30 * 86_400_000
const triesMost = 5

interface Waiting {
  readonly name: string
  readonly state: string
  /** Of PKCE; absent: the program asks until it is approved. */
  readonly challenge?: string
  /** Where the program listens on the person's own machine. */
  readonly port?: number
}

interface Approved {
  readonly person: string
  /** SHA-256 of the code; absent: without PKCE there is none. */
  readonly code?: string
  readonly tries: number
}

const [waitingKind, approvedKind] = ['command-session', 'command-approval']

/**
 * How flyctl signs in: by a browser (https://www.rfc-editor.org/rfc/rfc7636), by asking until a browser has approved, or by a password.
 *
 * V7  a token is given once, to the program that began the session: it shows the code that the person's browser was given, and
 *     what its challenge was made of; after some wrong ones the session is over.
 */
export class CommandSessions {
  readonly #parts: FlyParts

  constructor(parts: FlyParts) {
    this.#parts = parts
  }

  routes(): readonly Route[] {
    const one = '/api/v1/cli_sessions/:id'
    const page = '/app/auth/cli/:id'
    return [
      { method: 'POST', path: '/api/v1/sessions', handle: (request) => this.#byPassword(request) },
      { method: 'POST', path: '/api/v1/cli_sessions', handle: (request) => this.#begin(request) },
      { method: 'GET', path: one, handle: (_request, parameters) => this.#poll(parameters) },
      { method: 'POST', path: `${one}/redeem`, handle: (request, parameters) => this.#redeem(request, parameters) },
      { method: 'GET', path: page, handle: (request, parameters) => this.#ask(request, parameters) },
      { method: 'POST', path: page, handle: (request, parameters) => this.#approve(request, parameters) },
    ]
  }

  async #byPassword(request: FlyRequest): Promise<FlyAnswer> {
    const { data } = jsonOf(request)
    const attributes = isFields(data) && isFields(data['attributes']) ? data['attributes'] : {}
    const { email, password } = attributes
    const { tokens } = this.#parts.accounts
    const person = await tokens.checkPassword(String(email ?? ''), String(password ?? ''))
    const secret = await this.#newToken(person.id, 'flyctl')
    return jsonAnswer(201, { data: { attributes: { access_token: secret } } })
  }

  async #newToken(person: string, name: string): Promise<string> {
    const { secret } = await this.#parts.accounts.tokens.create({
      person,
      kind: 'token',
      name,
      lifetime: tokenMilliseconds,
    })
    return secret
  }

  async #begin(request: FlyRequest): Promise<FlyAnswer> {
    const {
      name,
      state,
      code_challenge: challenge,
      code_challenge_method: method,
      redirect_port: port,
    } = jsonOf(request)
    if (challenge !== undefined && challenge !== '' && method !== 'S256') {
      throw new Refusal(422, 'invalid', 'Challenges are of the method S256.')
    }
    const hasChallenge = typeof challenge === 'string' && /^[A-Za-z0-9_-]{43}$/.test(challenge)
    if (!hasChallenge && challenge !== undefined && challenge !== '') {
      throw new Refusal(422, 'invalid', 'The challenge is no digest.')
    }
    const isPort = typeof port === 'number' && Number.isInteger(port) && port > 0 && port < 65_536
    const waiting: Waiting = {
      name: typeof name === 'string' && name !== '' ? name.slice(0, 100) : 'a program',
      state: typeof state === 'string' ? state.slice(0, 200) : '',
      ...(hasChallenge && { challenge }),
      ...(isPort && { port }),
    }
    const id = randomId(this.#parts.world) + randomId(this.#parts.world)
    await this.#parts.accounts.shortLived.set(waitingKind, id, waiting, sessionMilliseconds)
    return jsonAnswer(201, {
      id,
      auth_url: `${this.#parts.places().public}/app/auth/cli/${id}`,
      pkce: hasChallenge,
    })
  }

  async #waiting(id: string): Promise<Waiting> {
    const waiting = await this.#parts.accounts.shortLived.get<Waiting>(waitingKind, id)
    if (waiting === undefined) throw new Refusal(404, 'not_found', 'This sign-in has ended: begin it again.')
    return waiting
  }

  async #ask(request: FlyRequest, { id = '' }: Parameters): Promise<FlyAnswer> {
    const who = await browserOf(this.#parts, request)
    if (who === undefined) return toSignIn(request)
    const { name } = await this.#waiting(id)
    return pageAnswer({
      title: 'Let a program in?',
      body: html`<p><b>${name}</b> wants to act as <b>${who.person.email}</b>. Go on only if you started it just now.</p>
<form method="post"><button name="answer" value="yes">Let it in</button></form>`,
    })
  }

  async #approve(request: FlyRequest, { id = '' }: Parameters): Promise<FlyAnswer> {
    checkOrigin(this.#parts, request)
    const who = await browserOf(this.#parts, request)
    if (who === undefined) return toSignIn(request)
    if (formOf(request).get('answer') !== 'yes') throw new Refusal(422, 'invalid', 'The form says nothing.')
    const { challenge, port, state } = await this.#waiting(id)
    const code = randomWord(this.#parts.world, alphanumeric, 32)
    const approved: Approved = {
      person: who.person.id,
      tries: 0,
      ...(challenge !== undefined && { code: hashOf(code) }),
    }
    await this.#parts.accounts.shortLived.set(approvedKind, id, approved, sessionMilliseconds)
    const title = 'You are signed in'
    if (challenge === undefined) return pageAnswer({ title, body: html`<p>Go back to your terminal.</p>` })
    const body = html`<p>Go back to your terminal. If it still asks, give it this code:</p><p><code id="code">${code}</code></p>`
    if (port === undefined) return pageAnswer({ title, body })
    const back = `http://127.0.0.1:${port}/callback?${new URLSearchParams({ state, code })}`
    const text = `fetch(${JSON.stringify(back).replaceAll('<', '\\u003c')}).catch(function(){})`
    const nonce = randomBytes(16).toString('base64')
    return pageAnswer({ title, body, script: { nonce, text, connects: `http://127.0.0.1:${port}` } })
  }

  /** Without PKCE: the id is the secret. */
  async #poll({ id = '' }: Parameters): Promise<FlyAnswer> {
    const { challenge, name } = await this.#waiting(id)
    if (challenge !== undefined) throw new Refusal(404, 'not_found', 'This sign-in is ended by its code.')
    const { shortLived } = this.#parts.accounts
    const approved = await shortLived.take<Approved>(approvedKind, id)
    if (approved === undefined) throw new Refusal(404, 'not_ready', 'Nobody has let it in yet.')
    await shortLived.take(waitingKind, id)
    return jsonAnswer(200, { access_token: await this.#newToken(approved.person, name) })
  }

  async #redeem(request: FlyRequest, { id = '' }: Parameters): Promise<FlyAnswer> {
    const { code, code_verifier: verifier } = jsonOf(request)
    const { challenge, name } = await this.#waiting(id)
    const { shortLived } = this.#parts.accounts
    const approved = await shortLived.take<Approved>(approvedKind, id)
    if (approved === undefined) throw new Fault('InvalidArgument', { message: 'Nobody has let it in yet.' })
    const made = createHash('sha256')
      .update(String(verifier ?? ''))
      .digest('base64url')
    const isRight = approved.code !== undefined && hashOf(String(code ?? '')) === approved.code && made === challenge
    if (!isRight) {
      const tries = approved.tries + 1
      if (tries < triesMost) await shortLived.set(approvedKind, id, { ...approved, tries }, sessionMilliseconds)
      else await shortLived.take(waitingKind, id)
      throw new Fault('InvalidArgument', { message: 'That code is not right.' })
    }
    await shortLived.take(waitingKind, id)
    return jsonAnswer(200, { access_token: await this.#newToken(approved.person, name) })
  }
}
