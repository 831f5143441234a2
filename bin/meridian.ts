import { type ArgsDef, type CommandDef, defineCommand, renderUsage, runCommand } from 'citty'
import { BadSettings } from '#src/config/load.ts'
import { Fault } from '#src/errors.ts'
import { readVersion } from './version.ts'

/** What was asked for cannot be understood; exit code 2, as against 1 for what could not be done. */
class BadUsage extends Error {}

const main: CommandDef = defineCommand({
  meta: { name: 'meridian', version: readVersion(), description: 'An S3-compatible object store' },
  // Loaded when chosen: serving needs not wait for what others need, nor they for the gateway.
  subCommands: {
    serve: async () => (await import('./serve.ts')).serveCommand,
    users: async () => (await import('./accounts.ts')).usersCommand,
    keys: async () => (await import('./accounts.ts')).keysCommand,
    buckets: async () => (await import('./buckets.ts')).bucketsCommand,
    objects: async () => (await import('./objects.ts')).objectsCommand,
    usage: async () => (await import('./usage.ts')).usageCommand,
    top: async () => (await import('./top.ts')).topCommand,
    people: async () => (await import('./people.ts')).peopleCommand,
    tokens: async () => (await import('./people.ts')).tokensCommand,
    organizations: async () => (await import('./organizations.ts')).organizationsCommand,
    storage: async () => (await import('./storage.ts')).storageCommand,
    apps: async () => (await import('./apps.ts')).appsCommand,
    'encryption-keys': async () => (await import('./encryption-keys.ts')).encryptionKeysCommand,
    notifications: async () => (await import('./notifications.ts')).notificationsCommand,
    tasks: async () => (await import('./tasks.ts')).tasksCommand,
    volumes: async () => (await import('./volumes.ts')).volumesCommand,
    metadata: async () => (await import('./metadata.ts')).metadataCommand,
    nodes: async () => (await import('./nodes.ts')).nodesCommand,
    regions: async () => (await import('./regions.ts')).regionsCommand,
    jobs: async () => (await import('./jobs.ts')).jobsCommand,
    conflicts: async () => (await import('./conflicts.ts')).conflictsCommand,
    doctor: async () => (await import('./doctor.ts')).doctorCommand,
    dev: async () => (await import('./dev.ts')).devCommand,
    completions: async () => (await import('./completions.ts')).completionsOf(() => main as CommandDef),
  },
})

interface Chosen {
  readonly command: CommandDef
  readonly parent: CommandDef | undefined
  readonly rest: readonly string[]
}

/** The command that the words before the first flag name. */
async function choose(words: readonly string[]): Promise<Chosen> {
  let command = main as CommandDef
  let parent: CommandDef | undefined
  let rest = words
  for (;;) {
    const children = command.subCommands as
      | Readonly<Record<string, CommandDef | (() => Promise<CommandDef>)>>
      | undefined
    const [word] = rest
    if (children === undefined || word === undefined || word.startsWith('-')) return { command, parent, rest }
    const next = children[word]
    if (next === undefined) throw new BadUsage(`there is no command ${word}: try meridian --help`)
    parent = command
    command = typeof next === 'function' ? await next() : next
    rest = rest.slice(1)
  }
}

/** A misspelt flag must not be ignored: `--prot 80` would serve on another port. */
function checkFlags(rest: readonly string[], known: ArgsDef, help: string): void {
  const positional = Object.entries(known).filter(([, { type }]) => type === 'positional')
  const needed = new Set(
    Object.keys(known).filter((name) => known[name]?.type !== 'positional' && isNeeded(known[name])),
  )
  let taken = 0
  for (let at = 0; at < rest.length; at++) {
    const word = rest[at] ?? ''
    if (!word.startsWith('-') && taken < positional.length) {
      taken++
      continue
    }
    const [name = '', value] = word.replace(/^--/, '').split('=', 2)
    const definition = word.startsWith('--') ? known[name] : undefined
    if (definition === undefined) throw new BadUsage(`what does ${word} mean? Try ${help}`)
    needed.delete(name)
    if (definition.type === 'boolean') continue
    const given = value ?? rest[++at]
    // Only with `=` does a value look like a flag.
    if (given === undefined || given === '' || (value === undefined && given.startsWith('--')))
      throw new BadUsage(`${word} needs a value`)
  }
  const missing = positional[taken]
  if (missing !== undefined) throw new BadUsage(`which ${missing[0]}? Try ${help}`)
  if (needed.size > 0) {
    const names = [...needed].map((each) => `--${each}`).join(' and ')
    throw new BadUsage(`${names} ${needed.size > 1 ? 'are' : 'is'} missing: try ${help}`)
  }
}

const isNeeded = (definition: ArgsDef[string] | undefined): boolean =>
  definition !== undefined && 'required' in definition && definition.required === true

async function run(words: readonly string[]): Promise<void> {
  if (words.length === 1 && (words[0] === '--version' || words[0] === '-v')) {
    process.stdout.write(`${readVersion()}\n`)
    return
  }
  const { command, parent, rest } = await choose(words)
  if (rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(`${await renderUsage(command, parent)}\n`)
    return
  }
  const help = ['meridian', ...words.slice(0, words.length - rest.length), '--help'].join(' ')
  if (command.subCommands !== undefined) throw new BadUsage(`which command? Try ${help}`)
  checkFlags(rest, (command.args ?? {}) as ArgsDef, help)
  await toItsEnd(() => runCommand(command, { rawArgs: [...rest] }))
}

/** The timers of a store that is at work keep no process alive: where a command waits for nothing else, Node would end it, as if it were done. */
async function toItsEnd(command: () => Promise<unknown>): Promise<void> {
  const held = setInterval(() => {}, 2 ** 30)
  try {
    await command()
  } finally {
    clearInterval(held)
  }
}

async function wordsFor(error: unknown): Promise<string> {
  if (error instanceof Fault) return (await import('./faults.ts')).wordsOf(error)
  return error instanceof Error ? error.message : String(error)
}

run(process.argv.slice(2)).catch(async (error: unknown) => {
  const message = await wordsFor(error)
  process.stderr.write(`meridian: ${message.replaceAll('\n', ' ')}\n`)
  process.exitCode = error instanceof BadUsage || error instanceof BadSettings ? 2 : 1
})
