import { curves } from './chart.ts'
import { repeat, type View } from './context.ts'
import { el, empty, messageOf, table } from './dom.ts'
import { count } from './format.ts'
import { map } from './map.ts'

interface Region {
  readonly region: string
  readonly cell: number
  readonly geography: string
  readonly state: 'joining' | 'active' | 'leaving' | 'removed'
  readonly isHere: boolean
  readonly isRoot: boolean
  readonly isUp: boolean
  /** Milliseconds; absent: it was never heard, or is this one. */
  readonly roundTrip?: number
  readonly clockAhead?: number
  /** What of its feed is not applied here; absent: it did not say. */
  readonly behind?: { readonly entries: number; readonly seconds: number }
}

const everyMilliseconds = 2_000
const keptMilliseconds = 10 * 60_000

/** What was seen while this page was shown, by region. */
const history = new Map<string, [number, number][]>()

function remember(regions: readonly Region[], now: number): void {
  for (const { region, behind } of regions) {
    if (behind === undefined) continue
    const points = history.get(region) ?? []
    points.push([now, behind.entries])
    history.set(
      region,
      points.filter(([time]) => time > now - keptMilliseconds),
    )
  }
}

function stateOf({ state, isUp }: Region): HTMLElement {
  if (state === 'removed') return el('span', { class: 'tag plain' }, 'removed')
  if (!isUp) return el('span', { class: 'tag bad' }, 'does not answer')
  return el('span', { class: state === 'active' ? 'tag' : 'tag plain' }, state)
}

const milliseconds = (value: number | undefined): string =>
  value === undefined ? '–' : `${value.toFixed(value < 10 ? 1 : 0)} ms`

const behindText = ({ entries, seconds }: NonNullable<Region['behind']>): string =>
  entries === 0 ? 'nothing' : `${count(entries)}, ${seconds.toFixed(1)} s`

const columns = [
  { title: 'Region' },
  { title: 'Geography' },
  { title: 'State' },
  { title: 'Round trip', isNumber: true },
  { title: 'Clock', isNumber: true },
  { title: 'Behind', isNumber: true },
]

function rowOf(each: Region) {
  const { region, geography, isHere, isRoot, roundTrip, clockAhead, behind } = each
  const notes = [isHere ? 'here' : '', isRoot ? 'root' : ''].filter((note) => note !== '')
  return [
    el('span', { class: 'actions' }, region, ...notes.map((note) => el('span', { class: 'tag plain' }, note))),
    geography === '' ? '–' : geography,
    stateOf(each),
    milliseconds(roundTrip),
    clockAhead === undefined ? '–' : `${clockAhead > 0 ? '+' : ''}${clockAhead.toFixed(0)} ms`,
    isHere ? '–' : behind === undefined ? 'unknown' : behindText(behind),
  ]
}

function lagPanel(now: number): HTMLElement {
  const all = [...history].map(([name, points]) => ({ name, points }))
  const from = Math.min(now - 60_000, ...all.flatMap(({ points }) => points.slice(0, 1).map(([time]) => time)))
  return el(
    'section',
    { class: 'panel' },
    el('h2', {}, 'How far this region is behind'),
    el('p', { class: 'soft' }, 'Changes of other regions that were not applied here yet, since this page was opened.'),
    curves('Changes that were not applied yet, over time', all, [from, now], count),
  )
}

const mapPlaces = (regions: readonly Region[]) =>
  regions
    .filter(({ state }) => state !== 'removed')
    .map(({ region, isUp, isHere }) => ({
      region,
      isHere,
      state: isUp ? ('holds' as const) : ('down' as const),
      note: isUp ? 'answers' : 'does not answer',
    }))

export const regionsView: View = async ({ client, signal }) => {
  const place = el('div', { class: 'stack' })
  let drawn = ''
  const world = el('div', {})
  const look = async (): Promise<void> => {
    const { regions } = await client.api<{ readonly regions: readonly Region[] }>('regions')
    const now = Date.now()
    remember(regions, now)
    if (regions.length === 0) {
      place.replaceChildren(
        empty(
          'One region',
          'This node serves alone. A cluster has several regions, each of which takes reads and writes.',
        ),
      )
      return
    }
    const places = mapPlaces(regions)
    const state = JSON.stringify(places)
    if (state !== drawn)
      world.replaceChildren(map(places, `A map: ${places.map(({ region, note }) => `${region} ${note}`).join('; ')}`))
    drawn = state
    place.replaceChildren(
      el('section', { class: 'panel' }, world),
      table('Regions', columns, regions.map(rowOf)),
      lagPanel(now),
    )
  }
  await look()
  void repeat(signal, everyMilliseconds, async () => {
    try {
      await look()
    } catch (error) {
      if (!signal.aborted) place.prepend(el('p', { class: 'alert' }, messageOf(error)))
    }
  })
  return { title: 'Regions', body: [el('h1', {}, 'Regions'), place] }
}
