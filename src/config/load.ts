import * as z from 'zod'
import { environmentOnly, settings } from './settings.ts'

const Settings = z.object(settings)

export type Config = Readonly<z.infer<typeof Settings>>
export type Setting = keyof typeof settings

export const settingNames = Object.keys(settings) as readonly Setting[]

const words = (name: string): string => name.replaceAll(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`)

export const flagName = (name: Setting): string => words(name)
export const variableName = (name: Setting): string => `MERIDIAN_${words(name).replaceAll('-', '_').toUpperCase()}`
/** What others call it too, where they do: the standard's variables stand behind ours. */
const standardNames: Partial<Readonly<Record<Setting, string>>> = {
  traceEndpoint: 'OTEL_EXPORTER_OTLP_ENDPOINT',
  traceHeaders: 'OTEL_EXPORTER_OTLP_HEADERS',
  traceService: 'OTEL_SERVICE_NAME',
}
export const variableNames = (name: Setting): readonly string[] => {
  const standard = standardNames[name]
  return standard === undefined ? [variableName(name)] : [variableName(name), standard]
}
export const hasFlag = (name: Setting): boolean => !environmentOnly.has(name)

/** What a setting says of itself in help texts and the README. */
export function describeSetting(name: Setting): { readonly description: string; readonly fallback: string } {
  const schema: z.ZodType = settings[name]
  const { default: fallback } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
  return { description: schema.description ?? '', fallback: fallback === undefined ? '' : String(fallback) }
}

/** Names every bad setting, as its flag and its variable. */
export class BadSettings extends Error {}

type Given = Readonly<Record<string, string | undefined>>

function given(flags: Given, environment: Given): Record<string, string> {
  const values: Record<string, string> = {}
  for (const name of settingNames) {
    // An empty variable is how a container says that it has none.
    const [variable] = variableNames(name).flatMap((each) => environment[each] || [])
    const value = flags[name] ?? variable
    if (value !== undefined && value !== '') values[name] = value
  }
  return values
}

const label = (name: Setting): string =>
  [...(hasFlag(name) ? [`--${flagName(name)}`] : []), ...variableNames(name)].join(' / ')

/** Reads flags over environment over defaults, and checks them at once: the error names every bad one, not just the first. */
export function loadConfig(flags: Given, environment: Given): Config {
  const values = given(flags, environment)
  const result = Settings.safeParse(values)
  const bad = (result.error?.issues ?? []).map(({ path, message }) => {
    const name = settingNames.find((each) => each === path[0])
    return name === undefined ? message : `${label(name)}: ${message}`
  })
  if ((values['accessKey'] === undefined) !== (values['secretKey'] === undefined)) {
    bad.push(`${label('accessKey')} and ${label('secretKey')} come together`)
  }
  if (result.data === undefined || bad.length > 0) throw new BadSettings(`bad settings: ${bad.join('; ')}`)
  return Object.freeze(result.data)
}

/** The README's table. */
export function settingsTable(): string {
  const rows = settingNames.map((name) => {
    const { description, fallback } = describeSetting(name)
    const flag = hasFlag(name) ? `\`--${flagName(name)}\`` : ''
    return `| ${flag} | \`${variableName(name)}\` | ${fallback === '' ? '' : `\`${fallback}\``} | ${description} |`
  })
  return ['| flag | variable | default | what it is |', '|---|---|---|---|', ...rows].join('\n')
}
