import type { Definition, HistogramValue, Reading } from './metrics.ts'

/** https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format */
export const expositionType = 'text/plain; version=0.0.4; charset=utf-8'

/** The readings of one process of several. */
export interface ProcessReadings {
  /** Which: goes into each series, so that a process that begins anew resets its own counters and no others. */
  readonly worker: string
  readonly readings: readonly Reading[]
}

const escapeHelp = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
const escapeLabel = (text: string): string => escapeHelp(text).replaceAll('"', '\\"')

const labelled = (names: readonly string[], values: readonly string[]): string =>
  names.map((name, index) => `${name}="${escapeLabel(values[index] ?? '')}"`).join(',')

function* histogramLines(
  { name, bounds = [] }: Definition,
  labels: string,
  { counts, sum }: HistogramValue,
): Generator<string> {
  let total = 0
  for (const [index, count] of counts.entries()) {
    total += count
    const bound = index < bounds.length ? String(bounds[index]) : '+Inf'
    yield `${name}_bucket{${labels},le="${bound}"} ${total}`
  }
  yield `${name}_sum{${labels}} ${sum}`
  yield `${name}_count{${labels}} ${total}`
}

/** All that the processes of a region's node told, in the order of the definitions; what has no definition is not told. */
export function exposition(
  definitions: readonly Definition[],
  region: string,
  processes: readonly ProcessReadings[],
): string {
  const byName = new Map<string, { readonly worker: string; readonly reading: Reading }[]>()
  for (const { worker, readings } of processes) {
    for (const reading of readings) {
      const known = byName.get(reading.name)
      if (known === undefined) byName.set(reading.name, [{ worker, reading }])
      else known.push({ worker, reading })
    }
  }
  const lines: string[] = []
  for (const definition of definitions) {
    const { name, kind, help, labels } = definition
    const found = byName.get(name)
    if (found === undefined) continue
    lines.push(`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${kind}`)
    for (const { worker, reading } of found) {
      const text = labelled([...labels, 'region', 'worker'], [...reading.labels, region, worker])
      if (typeof reading.value === 'number') lines.push(`${name}{${text}} ${reading.value}`)
      else lines.push(...histogramLines(definition, text, reading.value))
    }
  }
  return `${lines.join('\n')}\n`
}
