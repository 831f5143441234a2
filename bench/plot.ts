/** Lines over time, as an SVG that is readable on light and dark pages. */
export interface Line {
  readonly name: string
  /** A value for each time. */
  readonly values: readonly number[]
}

export interface Panel {
  readonly title: string
  /** How a value is written at the axis. */
  readonly format: (value: number) => string
  readonly lines: readonly Line[]
  /** The top of the axis; default: a round number above all values. */
  readonly most?: number
}

export interface Plot {
  readonly title: string
  readonly note: string
  /** In seconds, of all lines. */
  readonly times: readonly number[]
  readonly panels: readonly Panel[]
}

const width = 760
const panelHeight = 170
const left = 70
const right = 130
const top = 56
const gap = 46
/** Told apart also by those who see no red or no green (Okabe and Ito), and by their dashes. */
const colours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7']
const dashes = ['', '6 3', '2 3', '8 3 2 3']

const style = `
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 15px; font-weight: 600 }
  .note { fill: #57606a }
  .grid { stroke: #d0d7de; stroke-width: 1 }
  .line { fill: none; stroke-width: 2; stroke-linejoin: round }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .note { fill: #8b949e }
    .grid { stroke: #30363d }
    .line, .name { filter: brightness(1.4) }
  }`

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

const at = (value: number): string => value.toFixed(1)

/** A round number that is not below it. */
function roundUp(value: number): number {
  if (value <= 0) return 1
  const unit = 10 ** Math.floor(Math.log10(value))
  return unit * ([1, 2, 2.5, 5, 10].find((step) => value <= step * unit) ?? 10)
}

function panelText({ title, format, lines, most }: Panel, times: readonly number[], y: number): string {
  const highest = most ?? roundUp(Math.max(...lines.flatMap(({ values }) => values.filter(Number.isFinite))))
  const last = times.at(-1) ?? 1
  const x = (time: number): number => left + (time / last) * (width - left - right)
  const height = (value: number): number => y + panelHeight - (Math.min(value, highest) / highest) * panelHeight
  const parts = [`<text x="${left}" y="${y - 10}">${escaped(title)}</text>`]
  for (const share of [0, 0.5, 1]) {
    const line = at(height(share * highest))
    parts.push(
      `<line class="grid" x1="${left}" x2="${width - right}" y1="${line}" y2="${line}"/>`,
      `<text class="note" x="${left - 8}" y="${line}" text-anchor="end" dominant-baseline="middle">${escaped(format(share * highest))}</text>`,
    )
  }
  for (const [index, { name, values }] of lines.entries()) {
    const colour = colours[index % colours.length]
    const points = times.flatMap((time, at) => {
      const value = values[at]
      return value === undefined || !Number.isFinite(value) ? [] : [[x(time), height(value)] as const]
    })
    const path = points.map(([px, py], step) => `${step === 0 ? 'M' : 'L'}${at(px)} ${at(py)}`).join('')
    const dash = dashes[index % dashes.length]
    const ly = y + 12 + index * 18
    parts.push(
      `<path class="line" d="${path}" stroke="${colour}"${dash === '' ? '' : ` stroke-dasharray="${dash}"`}/>`,
      `<line class="line" x1="${width - right + 10}" x2="${width - right + 34}" y1="${ly}" y2="${ly}" stroke="${colour}"${dash === '' ? '' : ` stroke-dasharray="${dash}"`}/>`,
      `<text class="name" x="${width - right + 40}" y="${ly}" dominant-baseline="middle">${escaped(name)}</text>`,
    )
  }
  return parts.join('\n')
}

export function plotText({ title, note, times, panels }: Plot): string {
  const height = top + panels.length * (panelHeight + gap) + 8
  const last = times.at(-1) ?? 1
  const bottom = top + panels.length * (panelHeight + gap) - gap + 18
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const x = left + share * (width - left - right)
    return `<text class="note" x="${at(x)}" y="${bottom}" text-anchor="middle">${Math.round(share * last)} s</text>`
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title)}">`,
    `<title>${escaped(title)}</title>`,
    `<desc>${escaped(note)}</desc>`,
    `<style>${style}\n</style>`,
    `<text class="title" x="${left}" y="20">${escaped(title)}</text>`,
    ...panels.map((panel, index) => panelText(panel, times, top + index * (panelHeight + gap))),
    ...ticks,
    `<text class="note" x="${left}" y="${height - 6}">${escaped(note)}</text>`,
    '</svg>\n',
  ].join('\n')
}
