import { Client } from './client.ts'
import type { Session } from './context.ts'
import { byId, el, labelled, messageOf } from './dom.ts'

type SignedIn = (client: Client, session: Session) => void

const typed = (id: string): string => byId<HTMLInputElement>(id).value.trim()

/** The form by which somebody signs in. Nothing of it is sent: the store is asked whose the key is, by a signature. */
export function signInView(signedIn: SignedIn): Node {
  const alert = el('p', { class: 'alert', role: 'alert', hidden: true })
  const submit = el('button', { class: 'main' }, 'Sign in')
  const submitted = async (event: Event): Promise<void> => {
    event.preventDefault()
    submit.disabled = true
    alert.hidden = true
    const token = typed('token')
    const client = new Client({
      accessKey: typed('access-key'),
      secretKey: typed('secret-key'),
      ...(token !== '' && { token }),
    })
    try {
      signedIn(client, await client.api<Session>('session'))
    } catch (error) {
      alert.textContent = messageOf(error)
      alert.hidden = false
      submit.disabled = false
    }
  }
  const field = (id: string, type: string, autocomplete: string, isRequired = true): HTMLInputElement =>
    el('input', { id, type, autocomplete, required: isRequired, spellcheck: 'false', autocapitalize: 'off' })
  return el(
    'div',
    { class: 'sign-in panel' },
    el('h1', {}, 'Sign in'),
    el(
      'form',
      { submit: submitted },
      alert,
      labelled('Access key', field('access-key', 'text', 'username')),
      labelled('Secret key', field('secret-key', 'password', 'current-password')),
      el(
        'details',
        {},
        el('summary', {}, 'Temporary credentials'),
        labelled('Session token', field('token', 'text', 'off', false)),
      ),
      submit,
    ),
    el(
      'small',
      {},
      'The secret is not sent: it signs what this page asks for, and is forgotten when the page is closed or loaded again.',
    ),
  )
}
