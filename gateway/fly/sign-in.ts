import { Fault } from '#src/errors.ts'
import { sessionMilliseconds } from '#src/service/accounts/tokens.ts'
import { type FlyAnswer, type FlyRequest, Refusal, type Route, redirect } from './exchange.ts'
import { html, pageAnswer } from './pages.ts'
import { browserOf, cookie, type FlyParts, sessionCookie } from './parts.ts'

/** Only within this server: an address of another one would send people who trust this page to it. */
export const localPath = (text: string | null): string =>
  text !== null && /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(text) && text.length <= 2_000 ? text : '/'

/** Forms are taken from our own pages: browsers say where a form was. https://owasp.org/www-community/attacks/csrf */
export function checkOrigin({ places }: FlyParts, { headers }: FlyRequest): void {
  const origin = headers['origin']
  const { public: own, local } = places()
  const isOwn = origin === own || origin === local || (origin === undefined && headers['sec-fetch-site'] === undefined)
  if (!isOwn) throw new Refusal(403, 'forbidden', 'The form is from another site.')
}

export const formOf = ({ body }: FlyRequest): URLSearchParams => new URLSearchParams(body.toString('utf8'))

/** Where a browser goes that has to sign in first. */
export const toSignIn = ({ path, rawQuery }: FlyRequest): FlyAnswer =>
  redirect(`/login?to=${encodeURIComponent(rawQuery === '' ? path : `${path}?${rawQuery}`)}`)

const form = (to: string, problem: string): FlyAnswer =>
  pageAnswer({
    title: 'Sign in',
    status: problem === '' ? 200 : 403,
    body: html`<p role="alert">${problem}</p><form method="post" action="/login">
<input type="hidden" name="to" value="${to}">
<label for="email">Email address</label><input id="email" name="email" type="email" autocomplete="username" required autofocus>
<label for="password">Password</label><input id="password" name="password" type="password" autocomplete="current-password" required>
<button>Sign in</button></form>`,
  })

/** Signing in with a browser. */
export function signInRoutes(parts: FlyParts): readonly Route[] {
  const { tokens } = parts.accounts
  return [
    { method: 'GET', path: '/login', handle: async ({ query }) => form(localPath(query.get('to')), '') },
    {
      method: 'POST',
      path: '/login',
      handle: async (request) => {
        checkOrigin(parts, request)
        const given = formOf(request)
        const to = localPath(given.get('to'))
        try {
          const person = await tokens.checkPassword(given.get('email') ?? '', given.get('password') ?? '')
          return redirect(to, { 'set-cookie': await newSession(parts, person.id) })
        } catch (error) {
          if (error instanceof Fault && error.code === 'AccessDenied') return form(to, error.message)
          throw error
        }
      },
    },
    {
      method: 'POST',
      path: '/logout',
      handle: async (request) => {
        checkOrigin(parts, request)
        const who = await browserOf(parts, request)
        if (who !== undefined) await tokens.delete(who.person.id, who.token.id)
        return redirect('/login', { 'set-cookie': cookie(parts.places(), sessionCookie, '', 0) })
      },
    },
  ]
}

/** The cookie of a new session. */
export async function newSession({ accounts, places }: FlyParts, person: string): Promise<string> {
  const { secret } = await accounts.tokens.create({
    person,
    kind: 'session',
    name: 'browser',
    lifetime: sessionMilliseconds,
  })
  return cookie(places(), sessionCookie, secret, sessionMilliseconds / 1000)
}
