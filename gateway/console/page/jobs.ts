import type { Context, View } from './context.ts'
import { ask } from './dialog.ts'
import { attempt, button, type Child, el, empty, say, table } from './dom.ts'
import { ago, count, plural, shown, time } from './format.ts'

interface Shown {
  readonly id: string
  readonly kind: string
  readonly since: number
  readonly due: number
  readonly attempts: number
  readonly reason: string
}

interface Work {
  readonly waiting: Readonly<Record<string, number>>
  readonly givenUp: Readonly<Record<string, number>>
  readonly jobs: readonly Shown[]
  readonly tasks: readonly Shown[]
  readonly dead: readonly Shown[]
}

interface Letter {
  readonly topic: string
  readonly account: string
  readonly subject?: string
  readonly attempts: number
  readonly reason: string
  readonly time: number
}

const columns = [
  { title: 'Job' },
  { title: 'Asked for' },
  { title: 'Attempts', isNumber: true },
  { title: 'Why not yet' },
]

const rowOf = ({ kind, since, attempts, reason }: Shown): readonly Child[] => [
  shown(kind),
  ago(since),
  count(attempts),
  reason === '' ? '–' : el('span', { class: 'reason' }, shown(reason)),
]

function counts(title: string, all: Readonly<Record<string, number>>): HTMLElement {
  const names: Readonly<Record<string, string>> = {
    collect: 'Freeing bytes',
    keep: 'Word to keepers of copies',
    task: 'Tiers, replication, migration',
    publish: 'Notifications to send out',
    deliver: 'Notifications on their way',
    notification: 'Notifications',
  }
  const entries = Object.entries(all).filter(([, value]) => value > 0)
  return el(
    'section',
    { class: 'panel' },
    el('h2', {}, title),
    entries.length === 0
      ? el('p', { class: 'soft' }, 'Nothing')
      : el(
          'dl',
          {},
          ...entries.flatMap(([name, value]) => [el('dt', {}, names[name] ?? name), el('dd', {}, count(value))]),
        ),
  )
}

async function act(context: Context, path: string, body: unknown, done: string): Promise<void> {
  await context.client.post(path, body)
  say(done)
  context.refresh()
}

function deadJobs(context: Context, dead: readonly Shown[]): HTMLElement {
  const rows = dead.map((each) => {
    const { id, kind } = each
    const again = (): Promise<void> => act(context, 'jobs/retry', { id }, 'It is tried again.')
    const actions = el(
      'span',
      { class: 'row-actions' },
      button('Try again', () => void attempt(again), { class: 'quiet', 'aria-label': `Try again ${kind} ${id}` }),
      button('Discard', () => askToDiscard(context, each), {
        class: 'quiet danger',
        'aria-label': `Discard ${kind} ${id}`,
      }),
    )
    return [...rowOf(each), actions]
  })
  const wide = [...columns, { title: 'Actions', isHidden: true, isNumber: true }]
  const title = 'Jobs that were given up'
  return el('section', { class: 'panel bare' }, el('h2', {}, title), table(title, wide, rows))
}

function askToDiscard(context: Context, { id, kind }: Shown): void {
  ask({
    title: 'Discard this job?',
    body: [el('p', {}, `What it was for (${shown(kind)}) is then never done.`)],
    action: 'Discard',
    isDanger: true,
    run: () => act(context, 'jobs/discard', { id }, 'It is discarded.'),
  })
}

function lettersPanel(context: Context, letters: readonly Letter[], isAll: boolean): HTMLElement {
  const rows = letters.map(({ topic, subject, attempts, reason, time: when }) => [
    shown(topic),
    shown(subject ?? '–'),
    time(when),
    count(attempts),
    el('span', { class: 'reason' }, shown(reason)),
  ])
  const wide = [
    { title: 'Topic' },
    { title: 'Subject' },
    { title: 'Given up' },
    { title: 'Attempts', isNumber: true },
    { title: 'Why' },
  ]
  const actions = el(
    'div',
    { class: 'actions' },
    button('Forget all', () => void attempt(() => act(context, 'letters/delete', {}, 'They are forgotten.')), {
      class: 'danger',
    }),
    button('Send all again', () => void attempt(() => act(context, 'letters/retry', {}, 'They are sent again.'))),
  )
  const head = el('div', { class: 'title' }, el('h2', {}, 'Notifications that were given up'), actions)
  return el(
    'section',
    { class: 'panel bare' },
    head,
    table('Notifications that were given up', wide, rows),
    !isAll && el('p', { class: 'soft' }, `The first ${plural(letters.length, 'letter')}.`),
  )
}

export const jobsView: View = async (context) => {
  const { client } = context
  const [work, { letters, isAll }] = await Promise.all([
    client.api<Work>('jobs'),
    client.api<{ readonly letters: readonly Letter[]; readonly isAll: boolean }>('letters'),
  ])
  const waiting = [...work.jobs, ...work.tasks]
  return {
    title: 'Jobs',
    body: [
      el(
        'div',
        { class: 'title' },
        el('h1', {}, 'Jobs'),
        button('Look again', () => context.refresh()),
      ),
      el('div', { class: 'sides' }, counts('Waiting in this region', work.waiting), counts('Given up', work.givenUp)),
      ...(work.dead.length > 0 ? [deadJobs(context, work.dead)] : []),
      ...(letters.length > 0 ? [lettersPanel(context, letters, isAll)] : []),
      waiting.length === 0
        ? empty(
            'Nothing waits',
            'What goes on beside requests, such as copies to other regions or moves to a tier, is listed here while it waits.',
          )
        : el(
            'section',
            { class: 'panel bare' },
            el('h2', {}, 'Waiting longest'),
            table('Jobs that wait', columns, waiting.map(rowOf)),
          ),
    ],
  }
}
