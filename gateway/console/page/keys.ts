import { type Client, child, children } from './client.ts'
import type { Context, View } from './context.ts'
import { ask, show, takeAlong } from './dialog.ts'
import { attempt, button, el, say, table } from './dom.ts'
import { time } from './format.ts'

/** Access keys, by IAM's own calls: of whoever signed in. */
interface Key {
  readonly id: string
  readonly isActive: boolean
  readonly created: string
}

const resultOf = (document: Document | undefined, call: string): Element | undefined =>
  children(document?.documentElement, `${call}Result`)[0]

async function listKeys(client: Client): Promise<readonly Key[]> {
  const { xml } = await client.iam({ Action: 'ListAccessKeys' })
  const list = children(resultOf(xml, 'ListAccessKeys'), 'AccessKeyMetadata')[0]
  return children(list, 'member').map((each) => ({
    id: child(each, 'AccessKeyId'),
    isActive: child(each, 'Status') === 'Active',
    created: child(each, 'CreateDate'),
  }))
}

async function create({ client, refresh }: Context): Promise<void> {
  const { xml } = await client.iam({ Action: 'CreateAccessKey' })
  const key = children(resultOf(xml, 'CreateAccessKey'), 'AccessKey')[0]
  show(
    'New access key',
    el('p', {}, 'The secret is shown once, here. Keep it where secrets are kept.'),
    takeAlong('Access key', child(key, 'AccessKeyId')),
    takeAlong('Secret key', child(key, 'SecretAccessKey')),
  )
  refresh()
}

async function change({ client, refresh }: Context, { id, isActive }: Key): Promise<void> {
  await client.iam({ Action: 'UpdateAccessKey', AccessKeyId: id, Status: isActive ? 'Inactive' : 'Active' })
  say(isActive ? `${id} is switched off.` : `${id} is good again.`)
  refresh()
}

function askToDelete({ client, refresh }: Context, { id }: Key): void {
  ask({
    title: 'Delete this key?',
    body: [
      el('p', { class: 'code' }, id),
      el('p', {}, 'Whoever uses it is refused from then on, and it cannot be had back.'),
    ],
    action: 'Delete key',
    isDanger: true,
    run: async () => {
      await client.iam({ Action: 'DeleteAccessKey', AccessKeyId: id })
      say(`${id} is deleted.`)
      refresh()
    },
  })
}

const columns = [
  { title: 'Access key' },
  { title: 'State' },
  { title: 'Created' },
  { title: 'Actions', isHidden: true, isNumber: true },
]

export const keysView: View = async (context) => {
  const { session } = context
  const rows = (await listKeys(context.client)).map((key) => {
    const { id, isActive, created } = key
    // Without the key that somebody signed in with, this page could do nothing more.
    const isOwn = id === session.accessKeyId
    const actions = el(
      'span',
      { class: 'row-actions' },
      !isOwn &&
        button(isActive ? 'Switch off' : 'Switch on', () => void attempt(() => change(context, key)), {
          class: 'quiet',
          'aria-label': `${isActive ? 'Switch off' : 'Switch on'} ${id}`,
        }),
      !isOwn &&
        button('Delete', () => askToDelete(context, key), { class: 'quiet danger', 'aria-label': `Delete ${id}` }),
    )
    const state = el(
      'span',
      { class: 'actions' },
      el('span', { class: isActive ? 'tag' : 'tag plain' }, isActive ? 'active' : 'off'),
      isOwn && el('span', { class: 'tag plain' }, 'signed in'),
    )
    return [el('code', {}, id), state, time(created), actions]
  })
  const who = session.user === undefined ? `the account ${session.account.name}` : `the user ${session.user}`
  return {
    title: 'Access keys',
    body: [
      el(
        'div',
        { class: 'title' },
        el('h1', {}, 'Access keys'),
        button('New key', () => void attempt(() => create(context)), { class: 'main' }),
      ),
      el('p', { class: 'soft' }, `Keys of ${who}. A key may do what its owner may.`),
      table('Access keys', columns, rows),
    ],
  }
}
