import {
  type Config,
  describeSetting,
  flagName,
  hasFlag,
  loadConfig,
  type Setting,
  settingNames,
  variableName,
  variableNames,
} from '#src/config/load.ts'
import { DataDirectory, DataDirectoryError } from '#src/data-directory.ts'

interface Flag {
  readonly type: 'string'
  readonly description: string
  readonly valueHint: string
}

const valueHints: Readonly<Record<string, string>> = {
  data: 'directory',
  fdbClusterFile: 'file',
  host: 'address',
  keyFile: 'file',
  port: 'number',
  region: 'code',
  volumes: 'directories',
}

/** What a command needs that opens the metadata, beside a server or as one. */
export const metadataSettings: readonly Setting[] = [
  'data',
  ...settingNames.filter((name) => name === 'metadata' || name.startsWith('fdb')),
]

/** The flags of settings, for a command's help. */
export function flagsOf(names: readonly Setting[]): Record<string, Flag> {
  return Object.fromEntries(
    names.filter(hasFlag).map((name) => {
      const { description, fallback } = describeSetting(name)
      const ends = fallback === '' ? variableName(name) : `${variableName(name)}; default ${fallback}`
      return [
        flagName(name),
        { type: 'string', description: `${description} (${ends})`, valueHint: valueHints[name] ?? 'value' },
      ]
    }),
  )
}

/** Those settings from a command's flags and the environment; all others have their defaults. */
export function configOf(names: readonly Setting[], args: Readonly<Record<string, unknown>>): Config {
  const given: Record<string, string> = {}
  const environment: Record<string, string | undefined> = {}
  for (const name of names) {
    const flag = args[flagName(name)]
    if (hasFlag(name) && typeof flag === 'string') given[name] = flag
    for (const variable of variableNames(name)) environment[variable] = process.env[variable]
  }
  return loadConfig(given, environment)
}

/** The same, of a data directory that was used before. */
export function configOfUsed(names: readonly Setting[], args: Readonly<Record<string, unknown>>): Config {
  const config = configOf(names, args)
  const directory = new DataDirectory(config.data)
  if (!directory.exists()) {
    throw new DataDirectoryError(
      `${config.data} is not a data directory: say where it is with --data, or start \`meridian serve\` once`,
    )
  }
  directory.prepare()
  return config
}
