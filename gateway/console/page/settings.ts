import type { View } from './context.ts'
import { el, table } from './dom.ts'

interface Setting {
  readonly name: string
  readonly value: string
  readonly isDefault: boolean
  readonly description: string
}

const columns = [{ title: 'Setting' }, { title: 'Value' }, { title: 'What it is' }]

export const settingsView: View = async ({ client, session }) => {
  const { settings } = await client.api<{ readonly settings: readonly Setting[] }>('settings')
  const rows = settings.map(({ name, value, isDefault, description }) => [
    el('code', {}, name),
    el(
      'span',
      { class: 'actions' },
      el('code', {}, value === '' ? '–' : value),
      !isDefault && el('span', { class: 'tag' }, 'set'),
    ),
    el('span', { class: 'reason soft' }, description.replaceAll('`', '')),
  ])
  return {
    title: 'Settings',
    body: [
      el('h1', {}, 'Settings'),
      el(
        'p',
        { class: 'soft' },
        `Of this node, Meridian ${session.version}, as it was started. Flags and variables of “meridian serve” change them.`,
      ),
      table('Settings', columns, rows),
    ],
  }
}
