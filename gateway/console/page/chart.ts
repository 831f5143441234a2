import { el, svg } from './dom.ts'

const [width, height] = [640, 180]
const [left, right, top, bottom] = [56, 8, 10, 24]
const inner = { width: width - left - right, height: height - top - bottom }

/** A round number at or above, so that the scale is one that people count in. */
function ceiling(value: number): number {
  if (value <= 0) return 1
  const power = 10 ** Math.floor(Math.log10(value))
  return ([1, 2, 5, 10].find((each) => each * power >= value) ?? 10) * power
}

/** Of bytes: round in the unit that they are written in. */
export function bytesCeiling(value: number): number {
  const unit = 1024 ** Math.max(0, Math.floor(Math.log2(Math.max(1, value)) / 10))
  return ceiling(value / unit) * unit
}

function scale(most: number, written: (value: number) => string): readonly SVGElement[] {
  return [0, 0.5, 1].flatMap((part) => {
    const at = top + inner.height * (1 - part)
    return [
      svg('line', { class: 'rule', x1: left, x2: width - right, y1: at, y2: at }),
      svg('text', { x: left - 8, y: at + 4, 'text-anchor': 'end' }, written(most * part)),
    ]
  })
}

const drawing = (label: string, ...children: readonly SVGElement[]): SVGElement =>
  svg('svg', { class: 'chart', viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label }, ...children)

export interface Bar {
  readonly name: string
  readonly value: number
}

/** A bar for each day or the like. */
export function bars(
  label: string,
  all: readonly Bar[],
  written: (value: number) => string,
  most = ceiling(Math.max(0, ...all.map(({ value }) => value))),
): SVGElement {
  const step = inner.width / Math.max(1, all.length)
  const gap = Math.min(3, step * 0.25)
  const rects = all.map(({ name, value }, at) => {
    const size = (value / most) * inner.height
    const place = {
      x: left + at * step + gap / 2,
      y: top + inner.height - size,
      width: step - gap,
      height: size,
      rx: 1.5,
    }
    return svg('rect', { class: 'bar', ...place }, svg('title', {}, `${name}: ${written(value)}`))
  })
  const ends = [all[0], all.at(-1)].map((each, at) =>
    svg(
      'text',
      { x: at === 0 ? left : width - right, y: height - 6, 'text-anchor': at === 0 ? 'start' : 'end' },
      each?.name ?? '',
    ),
  )
  return drawing(label, ...scale(most, written), ...rects, ...(all.length > 1 ? ends : ends.slice(0, 1)))
}

export interface Curve {
  readonly name: string
  /** Times in milliseconds, and values. */
  readonly points: readonly (readonly [number, number])[]
}

const classes = ['one', 'two', 'three', 'four'] as const

/** Values over the time from `from` to `to`. */
export function curves(
  label: string,
  all: readonly Curve[],
  [from, to]: readonly [number, number],
  written: (value: number) => string,
): HTMLElement {
  const most = ceiling(Math.max(1, ...all.flatMap(({ points }) => points.map(([, value]) => value))))
  const place = ([time, value]: readonly [number, number]): string =>
    `${left + ((time - from) / Math.max(1, to - from)) * inner.width},${top + inner.height * (1 - value / most)}`
  const lines = all.map(({ points }, at) =>
    svg('polyline', { class: `curve ${classes[at % classes.length]}`, points: points.map(place).join(' ') }),
  )
  const legend = all.map(({ name, points }, at) => {
    const sample = svg(
      'svg',
      { width: 18, height: 8, 'aria-hidden': 'true', class: 'chart-sample' },
      svg('path', { class: `curve ${classes[at % classes.length]}`, d: 'M0 4h18' }),
    )
    return el('span', {}, sample, ` ${name}: ${written(points.at(-1)?.[1] ?? 0)}`)
  })
  return el(
    'figure',
    {},
    drawing(label, ...scale(most, written), ...lines),
    el('figcaption', { class: 'legend' }, ...legend),
  )
}
