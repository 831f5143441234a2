import { type Config, loadConfig, settingNames, variableName } from '#src/config/load.ts'
import type { StatefulSet } from './chart.ts'

/** What a Secret would say. */
const fromSecret: Readonly<Record<string, string>> = {
  MERIDIAN_ACCESS_KEY: 'HARNESSADMINISTRATOR',
  MERIDIAN_SECRET_KEY: 'harness-secret-of-the-administrator',
  MERIDIAN_REDIS: 'redis://redis.example.com:6379/0',
}

/** The variables that the pod with this ordinal gets, as Kubernetes fills them in. */
export function variablesOf(set: StatefulSet, ordinal = 1): Readonly<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const { name, value, valueFrom } of set.spec.template.spec.containers[0].env ?? []) {
    const given = name === 'POD_NAME' ? `${set.metadata.name}-${ordinal}` : fromSecret[name]
    const text = valueFrom === undefined ? value : given
    if (text === undefined) throw new Error(`${name} comes from nowhere`)
    // Only variables that stand before it.
    found[name] = text.replaceAll(/\$\((\w+)\)/g, (whole, other: string) => found[other] ?? whole)
  }
  return found
}

/** What the server makes of them. */
export function configOf(set: StatefulSet): Config {
  const given = variablesOf(set)
  return loadConfig({}, Object.fromEntries(settingNames.map((name) => [variableName(name), given[variableName(name)]])))
}
