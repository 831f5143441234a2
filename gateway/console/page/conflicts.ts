import { bucketHref, type Context, objectHref, type View } from './context.ts'
import { ask } from './dialog.ts'
import { attempt, button, el, empty, link, say, table } from './dom.ts'
import { bytes, shown, time } from './format.ts'

interface Conflict {
  readonly key: string
  readonly id: string
  readonly size: number
  readonly written: number
  readonly expires: number
}

interface Page {
  readonly conflicts: readonly Conflict[]
  readonly next?: { readonly key: string; readonly id: string }
}

const columns = [
  { title: 'Object' },
  { title: 'Size', isNumber: true },
  { title: 'Written' },
  { title: 'Kept until' },
  { title: 'Actions', isHidden: true, isNumber: true },
]

function askToDiscard(context: Context, bucket: string, { key, id }: Conflict): void {
  ask({
    title: 'Discard what was lost?',
    body: [el('p', { class: 'code' }, shown(key)), el('p', {}, 'It is let go in all regions, and cannot be had back.')],
    action: 'Discard',
    isDanger: true,
    run: async () => {
      await context.client.post('conflicts/discard', { bucket, key, id })
      say('It is discarded.')
      context.refresh()
    },
  })
}

async function restore(context: Context, bucket: string, { key, id }: Conflict): Promise<void> {
  await context.client.post('conflicts/restore', { bucket, key, id })
  say('It is the newest version now.')
  context.refresh()
}

export const conflictsView: View = async (context, bucket = '', afterKey = '', afterId = '') => {
  const from: Readonly<Record<string, string>> = afterKey === '' ? {} : { 'after-key': afterKey, 'after-id': afterId }
  const { conflicts, next } = await context.client.api<Page>('conflicts', { bucket, ...from })
  const rows = conflicts.map((each) => {
    const { key, id, size, written, expires } = each
    const actions = el(
      'span',
      { class: 'row-actions' },
      button('Restore', () => void attempt(() => restore(context, bucket, each)), {
        class: 'quiet',
        'aria-label': `Restore ${shown(key)} of ${id}`,
      }),
      button('Discard', () => askToDiscard(context, bucket, each), {
        class: 'quiet danger',
        'aria-label': `Discard ${shown(key)} of ${id}`,
      }),
    )
    return [link(shown(key), objectHref(bucket, key)), bytes(size), time(written), time(expires), actions]
  })
  const crumbs = el(
    'ol',
    { class: 'crumbs' },
    el('li', {}, link('Buckets', '#/')),
    el('li', {}, link(bucket, bucketHref(bucket))),
  )
  return {
    title: `Conflicts of ${bucket}`,
    body: [
      el('nav', { 'aria-label': 'Folders' }, crumbs),
      el('h1', {}, 'Conflicts'),
      el(
        'p',
        { class: 'soft' },
        'When two regions write one object at once, the later write counts everywhere. What lost is kept for some days.',
      ),
      conflicts.length === 0
        ? empty('No conflict', 'Nothing was lost here, or it was settled.')
        : table('Conflicts', columns, rows),
      ...(next === undefined
        ? []
        : [
            link(
              'More',
              `#/conflicts/${encodeURIComponent(bucket)}/${encodeURIComponent(next.key)}/${encodeURIComponent(next.id)}`,
            ),
          ]),
    ],
  }
}
