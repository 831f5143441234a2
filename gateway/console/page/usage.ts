import { type Bar, bars, bytesCeiling } from './chart.ts'
import type { View } from './context.ts'
import { el, empty, table } from './dom.ts'
import { bytes, count } from './format.ts'

interface Row {
  readonly period: string
  readonly bucket: string
  readonly metric: string
  readonly class: string
  readonly value: number | string
}

const dayMilliseconds = 86_400_000
const shownDays = 30

const dayOf = (time: number): string => new Date(time).toISOString().slice(0, 10)

function perDay(rows: readonly Row[], days: readonly string[], metric: string): readonly Bar[] {
  const sums = new Map(days.map((day) => [day, 0]))
  for (const row of rows) {
    if (row.metric === metric) sums.set(row.period, (sums.get(row.period) ?? 0) + Number(row.value))
  }
  return days.map((name) => ({ name, value: sums.get(name) ?? 0 }))
}

/** Of a stock, a day on which nothing changed is as the one before. */
function carried(rows: readonly Row[], days: readonly string[], metric: string): readonly Bar[] {
  const last = new Map<string, number>()
  return days.map((name) => {
    for (const row of rows) {
      if (row.metric === metric && row.period === name) last.set(`${row.bucket} ${row.class}`, Number(row.value))
    }
    return { name, value: [...last.values()].reduce((sum, each) => sum + each, 0) }
  })
}

const bytesChart = (label: string, all: readonly Bar[]): Node =>
  bars(label, all, bytes, bytesCeiling(Math.max(0, ...all.map(({ value }) => value))))

const panel = (title: string, chart: Node): HTMLElement => el('section', { class: 'panel' }, el('h2', {}, title), chart)

function byBucket(rows: readonly Row[]): HTMLElement {
  const names = [...new Set(rows.map(({ bucket }) => bucket))].sort()
  const sum = (bucket: string, metric: string): number =>
    rows
      .filter((row) => row.bucket === bucket && row.metric === metric)
      .reduce((total, { value }) => total + Number(value), 0)
  const latest = (bucket: string, metric: string): number => {
    const own = rows.filter((row) => row.bucket === bucket && row.metric === metric)
    const by = new Map(own.sort((a, b) => (a.period < b.period ? -1 : 1)).map((row) => [row.class, Number(row.value)]))
    return [...by.values()].reduce((total, each) => total + each, 0)
  }
  const columns = [
    { title: 'Bucket' },
    { title: 'Stored', isNumber: true },
    { title: 'Objects', isNumber: true },
    { title: 'Requests', isNumber: true },
    { title: 'Bytes in', isNumber: true },
    { title: 'Bytes out', isNumber: true },
  ]
  return table(
    'Usage by bucket',
    columns,
    names.map((name) => [
      name,
      bytes(latest(name, 'stored')),
      count(latest(name, 'objects')),
      count(sum(name, 'requests')),
      bytes(sum(name, 'bytes in')),
      bytes(sum(name, 'bytes out')),
    ]),
  )
}

export const usageView: View = async ({ client, session }, whose = '') => {
  const now = Date.now()
  const days = Array.from({ length: shownDays }, (_, at) => dayOf(now - (shownDays - 1 - at) * dayMilliseconds))
  const isOfAll = whose === 'all' && session.isAdministrator
  const query = { 'meridian-usage': '', from: days[0] ?? '', to: days.at(-1) ?? '', ...(isOfAll && { account: 'all' }) }
  const { usage } = JSON.parse((await client.send({ path: '/', query })).text) as { readonly usage: readonly Row[] }
  const select = el(
    'select',
    { id: 'whose', 'aria-label': 'Whose usage' },
    el('option', { value: '' }, 'My account'),
    el('option', { value: 'all', selected: isOfAll }, 'All accounts'),
  )
  select.addEventListener('change', () => {
    location.hash = select.value === '' ? '#/usage' : '#/usage/all'
  })
  const head = el('div', { class: 'title' }, el('h1', {}, 'Usage'), session.isAdministrator && el('div', {}, select))
  const where = session.region === undefined ? '' : ` Counted in ${session.region}; other regions count what they do.`
  const about = el('p', { class: 'soft' }, `The last ${shownDays} days, in UTC.${where}`)
  if (usage.length === 0)
    return {
      title: 'Usage',
      body: [
        head,
        about,
        empty('Nothing used yet', 'What buckets hold, and what is asked of them, is counted here day by day.'),
      ],
    }
  return {
    title: 'Usage',
    body: [
      head,
      about,
      el(
        'div',
        { class: 'sides' },
        panel('Stored', bytesChart('Bytes stored, by day', carried(usage, days, 'stored'))),
        panel('Requests', bars('Requests, by day', perDay(usage, days, 'requests'), count)),
        panel('Bytes in', bytesChart('Bytes in, by day', perDay(usage, days, 'bytes in'))),
        panel('Bytes out', bytesChart('Bytes out, by day', perDay(usage, days, 'bytes out'))),
      ),
      byBucket(usage),
    ],
  }
}
