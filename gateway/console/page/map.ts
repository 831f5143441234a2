import { el, svg } from './dom.ts'
import { land, landNorth, landStep } from './land.ts'
import { placeOf } from './places.ts'

export interface Place {
  readonly region: string
  /** `holds`: filled; `down`: in the colour of trouble. */
  readonly state: 'holds' | 'down' | 'plain'
  readonly isHere?: boolean
  /** What is said of it beside its name. */
  readonly note: string
}

const dot = 8
const across = 120
const [width, height] = [across * dot, land.length * dot]

const x = (longitude: number): number => ((longitude + 180) / landStep) * dot
const y = (latitude: number): number => ((landNorth - latitude) / landStep) * dot + dot / 2

/** A row of 120 bits, of 30 hexadecimal digits. */
const bits = (row: string): string =>
  [...row].map((digit) => Number.parseInt(digit, 16).toString(2).padStart(4, '0')).join('')

/** One path for all dots: a thousand elements would cost more than the rest of the page. */
function landPath(): string {
  const radius = dot * 0.3
  const steps: string[] = []
  for (const [line, row] of land.entries()) {
    for (const [column, bit] of [...bits(row)].entries()) {
      if (bit === '0') continue
      const [cx, cy] = [column * dot + dot / 2, line * dot + dot / 2]
      steps.push(
        `M${cx - radius} ${cy}a${radius} ${radius} 0 1 0 ${2 * radius} 0a${radius} ${radius} 0 1 0 ${-2 * radius} 0`,
      )
    }
  }
  return steps.join('')
}

function mark(
  { region, state, isHere }: Place,
  [latitude, longitude]: readonly [number, number],
  size: number,
): SVGElement {
  const [cx, cy] = [x(longitude), y(latitude)]
  const isLeft = cx > width - 120
  return svg(
    'g',
    {},
    isHere === true && svg('circle', { class: 'halo', cx, cy, r: 2.2 * size }),
    svg('circle', { class: `place ${state}`, cx, cy, r: size }),
    svg(
      'text',
      {
        class: 'name',
        x: isLeft ? cx - 2 * size : cx + 2 * size,
        y: cy + 0.75 * size,
        'text-anchor': isLeft ? 'end' : 'start',
      },
      region,
    ),
  )
}

/** The world as dots, and regions on it. Who does not see it finds the same in the list that it comes with. */
export function map(places: readonly Place[], label: string, isSmall = false): HTMLElement {
  const marks = places.flatMap((each) => {
    const place = placeOf(each.region)
    return place === undefined ? [] : [mark(each, place, isSmall ? 12 : 7.5)]
  })
  const unknown = places.filter(({ region }) => placeOf(region) === undefined).map(({ region }) => region)
  return el(
    'figure',
    {},
    svg(
      'svg',
      { class: isSmall ? 'map small' : 'map', viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label },
      svg('path', { class: 'land', d: landPath() }),
      ...marks,
    ),
    unknown.length > 0 &&
      el('figcaption', { class: 'soft' }, `Not on the map, as nobody knows where they are: ${unknown.join(', ')}`),
  )
}
