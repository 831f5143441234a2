import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'
import { describeSetting, type Setting, settingNames } from '#src/config/load.ts'
import { settings } from '#src/config/settings.ts'

export const chart = join(import.meta.dirname, '../../deploy/kubernetes/meridian')

/** What the chart says itself, of its own values, or has no Service or file for. */
const ofTheChart = new Set<Setting>([
  'acmeChallenges',
  'auditLog',
  'host',
  'port',
  'data',
  'metadata',
  'volumes',
  'region',
  'geography',
  'workers',
  'tlsPort',
  'tlsCertificates',
  'metricsPort',
  'metricsHost',
  'drainSeconds',
  'keyFile',
  'join',
  'redis',
  'accessKey',
  'secretKey',
])

const isOfTheChart = (name: Setting): boolean => ofTheChart.has(name) || /^(fdb|fly|peer|node|cluster)[A-Z]/.test(name)

/** Settings that are given under `settings` of values.yaml. */
export const chartSettings: readonly Setting[] = [
  ...settingNames.filter((name) => !isOfTheChart(name) || name === 'fdbTimeout'),
]

/** YAML has numbers and truth values, where the command line has their texts. */
function typed(name: Setting): object {
  const schema: z.ZodType = settings[name]
  const { pattern, enum: words, format } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
  if (words?.includes('true')) return { enum: [true, false, 'true', 'false'] }
  if (words !== undefined) return { enum: words }
  const number = /^\^\\d\{1,\d+\}(?:\$$|\(\\\.)/.exec(pattern ?? '')?.[0]
  return {
    type: number === undefined ? 'string' : [number.endsWith('$') ? 'integer' : 'number', 'string'],
    ...(pattern !== undefined && { pattern: pattern.replaceAll('\\/', '/') }),
    ...(format !== undefined && { format }),
  }
}

/** values.schema.json, with what `settings` may be printed anew from the table of settings. */
export function chartSchema(): string {
  const text = readFileSync(join(chart, 'values.schema.json'), 'utf8')
  const schema = JSON.parse(text) as { properties: { settings: { properties: object } } }
  schema.properties.settings.properties = Object.fromEntries(
    chartSettings.map((name) => [name, { description: describeSetting(name).description, ...typed(name) }]),
  )
  return `${JSON.stringify(schema, undefined, 2)}\n`
}
