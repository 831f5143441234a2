import { bucketsView } from './buckets.ts'
import { type Client, Refused } from './client.ts'
import { conflictsView } from './conflicts.ts'
import type { Context, Session, View } from './context.ts'
import { button, byId, el, link, messageOf } from './dom.ts'
import { jobsView } from './jobs.ts'
import { keysView } from './keys.ts'
import { objectView } from './object.ts'
import { objectsView } from './objects.ts'
import { regionsView } from './regions.ts'
import { settingsView } from './settings.ts'
import { signInView } from './sign-in.ts'
import { usageView } from './usage.ts'

interface Page {
  readonly title: string
  readonly href: string
  readonly isForAdministrators?: boolean
}

const pages: readonly Page[] = [
  { title: 'Buckets', href: '#/' },
  { title: 'Usage', href: '#/usage' },
  { title: 'Keys', href: '#/keys' },
  { title: 'Regions', href: '#/regions', isForAdministrators: true },
  { title: 'Jobs', href: '#/jobs', isForAdministrators: true },
  { title: 'Settings', href: '#/settings', isForAdministrators: true },
]

const views: Readonly<Record<string, View>> = {
  '': bucketsView,
  buckets: objectsView,
  object: objectView,
  conflicts: conflictsView,
  usage: usageView,
  keys: keysView,
  regions: regionsView,
  jobs: jobsView,
  settings: settingsView,
}

const signedIn: { client?: Client; session?: Session } = {}
let showing = new AbortController()

const themes = ['system', 'light', 'dark'] as const
const themeName = 'meridian-theme'

function storedTheme(): (typeof themes)[number] {
  try {
    return themes.find((each) => each === localStorage.getItem(themeName)) ?? 'system'
  } catch {
    return 'system'
  }
}

function applyTheme(theme: string): void {
  if (theme === 'system') delete document.documentElement.dataset['theme']
  else document.documentElement.dataset['theme'] = theme
}

function themeSwitch(): HTMLElement {
  const select = el(
    'select',
    { 'aria-label': 'Colours', id: 'theme' },
    ...themes.map((each) =>
      el('option', { value: each, selected: each === storedTheme() }, `${each[0]?.toUpperCase()}${each.slice(1)}`),
    ),
  )
  select.addEventListener('change', () => {
    applyTheme(select.value)
    try {
      localStorage.setItem(themeName, select.value)
    } catch {
      // The browser keeps nothing for us: it holds until the page is closed.
    }
  })
  return el('span', {}, select)
}

function showHead(): void {
  const { session } = signedIn
  const nav = byId('pages')
  nav.hidden = session === undefined
  const own = pages.filter(
    ({ isForAdministrators }) => isForAdministrators !== true || session?.isAdministrator === true,
  )
  nav.replaceChildren(el('ul', {}, ...own.map(({ title, href }) => el('li', {}, link(title, href)))))
  const who = byId('who')
  if (session === undefined) {
    who.replaceChildren(themeSwitch())
    return
  }
  const name = session.user ?? session.account.name
  who.replaceChildren(
    el('span', { id: 'account' }, session.region === undefined ? name : `${name} · ${session.region}`),
    themeSwitch(),
    button('Sign out', signOut, { id: 'sign-out' }),
  )
}

function signOut(): void {
  delete signedIn.client
  delete signedIn.session
  showHead()
  void route()
}

function markPage(first: string): void {
  for (const each of document.querySelectorAll('#pages a')) {
    const own = each.getAttribute('href')?.slice(2) ?? ''
    const isHere = own === first || (own === '' && ['buckets', 'object', 'conflicts'].includes(first))
    if (isHere) each.setAttribute('aria-current', 'page')
    else each.removeAttribute('aria-current')
  }
}

function wordsOf(hash: string): readonly string[] {
  try {
    return hash.replace(/^#\/?/, '').split('/').map(decodeURIComponent)
  } catch {
    return ['nowhere']
  }
}

function problem(error: unknown): readonly Node[] {
  const isGone = error instanceof Refused && error.status === 404
  const again = button('Try again', () => void route())
  return [
    el('h1', {}, isGone ? 'That is not here' : 'That did not work'),
    el('p', { class: 'alert' }, messageOf(error)),
    el('div', { class: 'actions' }, again, link('Buckets', '#/', { class: 'button' })),
  ]
}

function showBody(title: string, body: readonly Node[], isNew: boolean): void {
  document.title = `${title} · Meridian`
  const main = byId('main')
  main.replaceChildren(...body)
  main.dataset['ready'] = location.hash || '#/'
  // Who does not see the page is led to what is new in it.
  if (isNew) main.focus({ preventScroll: true })
}

async function route(isNew = true): Promise<void> {
  showing.abort()
  showing = new AbortController()
  const { signal } = showing
  const main = byId('main')
  delete main.dataset['ready']
  main.classList.remove('drop')
  const { client, session } = signedIn
  if (client === undefined || session === undefined) {
    showBody('Sign in', [signInView(enter)], false)
    byId('access-key').focus()
    return
  }
  const [first = '', ...rest] = wordsOf(location.hash)
  markPage(first)
  const context: Context = { client, session, signal, refresh: () => void route(false) }
  try {
    const view = views[first]
    if (view === undefined) throw new Refused(404, '', 'There is no such page.')
    const { title, body } = await view(context, ...rest)
    if (!signal.aborted) showBody(title, body, isNew)
  } catch (error) {
    if (!signal.aborted) showBody('Problem', problem(error), isNew)
  }
}

function enter(client: Client, session: Session): void {
  signedIn.client = client
  signedIn.session = session
  showHead()
  void route()
}

applyTheme(storedTheme())
// A link to a place in the page would be taken for one to another page of ours.
byId('skip').addEventListener('click', (event) => {
  event.preventDefault()
  byId('main').focus()
})
window.addEventListener('hashchange', () => void route())
showHead()
void route()
