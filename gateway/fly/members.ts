import { isAbove, mayIn, parseRole, type Role, roles } from '#src/model/organization.ts'
import type { Place } from '#src/service/accounts/organizations.ts'
import type { SignedIn } from '#src/service/accounts/tokens.ts'
import { type FlyAnswer, type FlyRequest, type Parameters, type Route, redirect } from './exchange.ts'
import { type Html, html, joined, pageAnswer } from './pages.ts'
import { browserOf, type FlyParts } from './parts.ts'
import { checkOrigin, formOf, toSignIn } from './sign-in.ts'

const membersPath = (organization: string): string => `/organizations/${encodeURIComponent(organization)}/members`

/** What a form says where somebody is to go. */
const out = 'out'

type Handle = (request: FlyRequest, who: SignedIn, parameters: Parameters) => Promise<FlyAnswer>

/** Roles that somebody of that role may give. */
const below = (own: Role): readonly Role[] => roles.filter((each) => !isAbove(each, own))

const choice = (given: readonly string[], chosen: string): Html =>
  joined(
    given.map((each) =>
      each === chosen
        ? html`<option value="${each}" selected>${each}</option>`
        : html`<option value="${each}">${each}</option>`,
    ),
  )

/** Pages by which people look after who is in their organisations: the rules are Organizations' and Invitations'. */
export class MemberPages {
  readonly #parts: FlyParts

  constructor(parts: FlyParts) {
    this.#parts = parts
  }

  routes(): readonly Route[] {
    const get = (path: string, handle: Handle): Route => ({
      method: 'GET',
      path,
      handle: async (request, parameters) => {
        const who = await browserOf(this.#parts, request)
        return who === undefined ? toSignIn(request) : await handle(request, who, parameters)
      },
    })
    const post = (path: string, handle: Handle): Route => ({
      method: 'POST',
      path,
      handle: async (request, parameters) => {
        checkOrigin(this.#parts, request)
        const who = await browserOf(this.#parts, request)
        return who === undefined ? redirect('/login') : await handle(request, who, parameters)
      },
    })
    return [
      get('/organizations/:name/members', (_, who, { name = '' }) => this.#members(who, name)),
      post('/organizations/:name/members/:person', (...asked) => this.#change(...asked)),
      post('/organizations/:name/invitations', (...asked) => this.#invite(...asked)),
      post('/organizations/:name/invitations/:id', (...asked) => this.#withdraw(...asked)),
      get('/invitations', async ({ query }) => invitationPage(query.get('word') ?? '')),
      post('/invitations', (request, who) => this.#accept(request, who)),
    ]
  }

  async #members(who: SignedIn, name: string): Promise<FlyAnswer> {
    const { organizations, invitations } = this.#parts.accounts
    const place = await organizations.authorize(who, name, 'members:read')
    const { organization, role: own } = place
    const members = await organizations.members(organization.id)
    const mayChange = mayIn(own, 'members:change')
    const open = mayChange ? await invitations.list(who, organization.id) : []
    const rows = members.map(({ person, role }) => {
      const isOwn = person.id === who.person.id
      const action = `${membersPath(organization.id)}/${encodeURIComponent(person.id)}`
      return html`<li>${person.email}: ${role}${mayChange && !isAbove(role, own) ? changeForm(action, own, role) : ''}${
        isOwn ? leaveForm(action) : ''
      }</li>`
    })
    return pageAnswer({
      title: `Members of ${organization.name}`,
      body: html`<ul>${joined(rows)}</ul>${mayChange ? inviting(place, open) : ''}`,
    })
  }

  async #change(request: FlyRequest, who: SignedIn, { name = '', person = '' }: Parameters): Promise<FlyAnswer> {
    const { organizations } = this.#parts.accounts
    const wanted = formOf(request).get('role') ?? ''
    const role = wanted === out ? undefined : parseRole(wanted)
    await organizations.changeMember(who, name, person, role)
    const isGone = role === undefined && person === who.person.id
    return isGone
      ? pageAnswer({ title: 'You have left', body: html`<p>You are no member any more.</p>` })
      : redirect(membersPath(name))
  }

  /** The word is shown this once: of it, as of a password, a digest is kept. */
  async #invite(request: FlyRequest, who: SignedIn, { name = '' }: Parameters): Promise<FlyAnswer> {
    const given = formOf(request)
    const role = parseRole(given.get('role') ?? '')
    const { invitation, word } = await this.#parts.accounts.invitations.create(who, name, {
      email: given.get('email') ?? '',
      role,
    })
    const link = `${this.#parts.places().public}/invitations?word=${encodeURIComponent(word)}`
    return pageAnswer({
      title: 'Invited',
      body: html`<p>Send this to ${invitation.email}: it is shown this once, is good once and for a week, and for that address alone.</p>
<p><code id="link">${link}</code></p><p><a href="${membersPath(name)}">Members</a></p>`,
    })
  }

  async #withdraw(_: FlyRequest, who: SignedIn, { name = '', id = '' }: Parameters): Promise<FlyAnswer> {
    await this.#parts.accounts.invitations.withdraw(who, name, id)
    return redirect(membersPath(name))
  }

  async #accept(request: FlyRequest, who: SignedIn): Promise<FlyAnswer> {
    const word = formOf(request).get('word') ?? ''
    await this.#parts.accounts.invitations.accept(who, word)
    return redirect(membersPath(word.split('.', 1)[0] ?? ''))
  }
}

const changeForm = (action: string, own: Role, role: Role): Html =>
  html`<form method="post" action="${action}"><select name="role" aria-label="role">${choice([...below(own), out], role)}</select><button>Change</button></form>`

const leaveForm = (action: string): Html =>
  html`<form method="post" action="${action}"><input type="hidden" name="role" value="${out}"><button>Leave</button></form>`

function inviting(
  { organization, role }: Place,
  open: readonly { id: string; email: string; role: Role; expires: number }[],
): Html {
  const path = `/organizations/${encodeURIComponent(organization.id)}/invitations`
  const rows = open.map(
    (each) =>
      html`<li>${each.email}: ${each.role}, until ${new Date(each.expires).toISOString().slice(0, 10)}
<form method="post" action="${path}/${encodeURIComponent(each.id)}"><button>Withdraw</button></form></li>`,
  )
  const list = rows.length === 0 ? html`` : html`<h2>Open invitations</h2><ul>${joined(rows)}</ul>`
  return html`${list}<h2>Invite</h2><form method="post" action="${path}">
<label for="email">Email address</label><input id="email" name="email" type="email" required>
<label for="role">Role</label><select id="role" name="role">${choice(below(role), 'member')}</select>
<button>Invite</button></form>`
}

/** Says nothing of what the invitation is for: whoever has not the right word and address hears the same of every one. */
const invitationPage = (word: string): FlyAnswer =>
  pageAnswer({
    title: 'Join an organization',
    body: html`<p>You were invited.</p><form method="post" action="/invitations">
<input type="hidden" name="word" value="${word}"><button>Join</button></form>`,
  })
