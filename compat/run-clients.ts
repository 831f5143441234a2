import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Client, Tool } from './day.ts'
import { makeBigFile, makeTree, measureTree, size } from './files.ts'
import { Journal, seconds } from './journal.ts'
import { person } from './people.ts'
import { type Site, startServer } from './server.ts'

/**
 * Gives each client a fresh server and a day's work, and tells how it went.
 *
 * Z1  a client that did not run is never counted as one that passed.
 */

export interface ClientOptions {
  readonly treeFiles: number
  readonly bigBytes: number
  readonly allowMissing: boolean
  readonly workers: number | undefined
  /** Another server to work against, to tell a fault of this harness from one of Meridian's. */
  readonly site: Site | undefined
}

interface Outcome {
  readonly client: string
  readonly version: string
  readonly result: 'passed' | 'FAILED' | 'NOT RUN'
  readonly steps: number
  readonly time: string
}

/** Real files of several authors and kinds: what npm unpacked beside us. */
const realFiles = join(import.meta.dirname, '..', 'node_modules')

export async function runClients(clients: readonly Client[], options: ClientOptions): Promise<boolean> {
  const home = await mkdtemp(join(tmpdir(), 'meridian-clients-'))
  try {
    const journal = new Journal('compat')
    const big = join(home, 'big')
    const master = await makeTree(realFiles, join(home, 'tree'), options.treeFiles)
    await makeBigFile(big, options.bigBytes)
    journal.say(`${master.files.length} real files, ${size(master.bytes)}; a big file of ${size(options.bigBytes)}`)
    const outcomes: Outcome[] = []
    for (const client of clients) {
      const tool = await client.find().catch((error: unknown) => {
        journal.say(`${client.name} could not be installed: ${error instanceof Error ? error.message : error}`)
        return undefined
      })
      outcomes.push(
        tool === undefined
          ? { client: client.name, version: '-', result: 'NOT RUN', steps: 0, time: '-' }
          : await runOne(client, tool, home, big, options),
      )
    }
    printTable(outcomes)
    const accepted = options.allowMissing ? ['passed', 'NOT RUN'] : ['passed']
    return outcomes.every((each) => accepted.includes(each.result))
  } finally {
    await rm(home, { recursive: true, force: true })
  }
}

async function runOne(client: Client, tool: Tool, home: string, big: string, options: ClientOptions): Promise<Outcome> {
  const journal = new Journal(client.name)
  const began = performance.now()
  const work = join(home, client.name)
  const version = await tool.version()
  let result: Outcome['result'] = 'passed'
  journal.say(version)
  try {
    await mkdir(work)
    await cp(join(home, 'tree'), join(home, `${client.name}-tree`), { recursive: true, preserveTimestamps: true })
    const tree = await measureTree(join(home, `${client.name}-tree`))
    const server =
      options.site === undefined
        ? await startServer({
            owner: person('main'),
            // An endpoint of the client's day is on this machine.
            environment: { MERIDIAN_NOTIFICATION_ENDPOINTS: 'any' },
            ...(options.workers === undefined ? {} : { workers: options.workers }),
          })
        : undefined
    const site = options.site ?? server?.site
    if (site === undefined) throw new Error('there is no server to work against')
    try {
      await tool.work({ site, journal, tree, big, bigBytes: options.bigBytes, work })
    } finally {
      await server?.stop()
    }
  } catch (error) {
    result = 'FAILED'
    journal.say(error instanceof Error ? (error.stack ?? error.message) : String(error))
  }
  for (const used of [work, `${work}-tree`]) await rm(used, { recursive: true, force: true })
  return { client: client.name, version, result, steps: journal.steps, time: seconds(began) }
}

function printTable(outcomes: readonly Outcome[]): void {
  const lines = outcomes.map(({ client, result, steps, time, version }) =>
    [client.padEnd(8), result.padEnd(8), `${steps} steps`.padEnd(9), time.padStart(9), version].join('  '),
  )
  process.stdout.write(`\n${lines.join('\n')}\n`)
}
