import { createWriteStream } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { end, run, start } from './commands.ts'
import type { Person } from './people.ts'

/**
 * Meridian as its users meet it: its own process, its command line, its ready line.
 *
 * Y1  a server that stops otherwise than with exit code 0 fails the run, even when all else went well.
 * Y2  a data directory made here is gone afterwards; one that was given is left alone.
 */

const launcher = join(import.meta.dirname, '..', 'bin', 'launch.mjs')
const readyLine = /^ready (http:\/\/\S+)$/
/** Before it, where it is asked for. */
const flyLine = /^fly (http:\/\/\S+)$/

export interface Site {
  readonly endpoint: string
  readonly region: string
  readonly accessKey: string
  readonly secretKey: string
}

export interface ServerOptions {
  /** The key that the server is started with. */
  readonly owner: Person
  readonly data?: string
  readonly workers?: number
  /** Where the server's log goes; without it, to a file in the data directory's parent that only a failure shows. */
  readonly log?: string
  readonly environment?: Readonly<Record<string, string>>
  /** How long the server may take until it serves, and to drain, in milliseconds. */
  readonly patience?: number
}

export interface Server extends AsyncDisposable {
  readonly site: Site
  readonly data: string
  readonly pid: number
  /** Where flyctl is answered; undefined: nowhere. */
  readonly flyOrigin: string | undefined
  stop(): Promise<void>
}

const region = 'us-east-1'

export async function startServer(options: ServerOptions): Promise<Server> {
  const { owner, patience = 60_000 } = options
  const home = await mkdtemp(join(tmpdir(), 'meridian-compat-'))
  const data = options.data ?? join(home, 'data')
  const log = options.log ?? join(home, 'server.log')
  const workers = options.workers === undefined ? [] : ['--workers', String(options.workers)]
  const child = start(process.execPath, [launcher, 'serve', '--port', '0', '--data', data, ...workers], {
    env: {
      ...process.env,
      MERIDIAN_ACCESS_KEY: owner.accessKey,
      MERIDIAN_SECRET_KEY: owner.secretKey,
      ...options.environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const { stdout, stderr, pid } = child
  if (stdout === null || stderr === null || pid === undefined) throw new Error('the server did not start')
  const file = createWriteStream(log)
  stdout.pipe(file, { end: false })
  stderr.pipe(file, { end: false })

  const said = async () => (await readFile(log, 'utf8').catch(() => '')).slice(-4_000)
  let flyOrigin: string | undefined
  const endpoint = await new Promise<string | undefined>((resolve) => {
    const late = setTimeout(() => resolve(undefined), patience)
    createInterface({ input: stdout }).on('line', (line) => {
      const [, address] = readyLine.exec(line) ?? []
      flyOrigin ??= flyLine.exec(line)?.[1]
      if (address !== undefined) resolve(address)
    })
    child.once('exit', () => resolve(undefined))
    child.once('error', () => resolve(undefined))
    child.once('exit', () => clearTimeout(late))
  })
  if (endpoint === undefined) {
    await end(child, 1_000)
    throw new Error(`the server never said that it is ready\n${await said()}`)
  }

  let stopping: Promise<void> | undefined
  const stop = async () => {
    const code = await end(child, patience)
    const words = code === 0 ? '' : await said()
    file.close()
    await rm(home, { recursive: true, force: true })
    if (code !== 0) throw new Error(`Y1: the server ended with ${code}\n${words}`)
  }
  const stopOnce = () => {
    stopping ??= stop()
    return stopping
  }
  return {
    site: { endpoint, region, accessKey: owner.accessKey, secretKey: owner.secretKey },
    data,
    pid,
    flyOrigin,
    stop: stopOnce,
    [Symbol.asyncDispose]: stopOnce,
  }
}

/** Makes users and keys of given value in a data directory, by the command line, whether or not a server runs on it. */
export async function enrol(data: string, people: readonly Person[]): Promise<void> {
  const meridian = (...args: string[]) => run(process.execPath, [launcher, ...args, '--data', data])
  for (const { id, name, email, accessKey, secretKey, tenant, isAdministrator } of people) {
    const more = [
      ...(tenant === undefined ? [] : ['--tenant', tenant]),
      ...(isAdministrator ? ['--administrator'] : []),
    ]
    await meridian('users', 'create', '--id', id, '--name', name, '--email', email, ...more)
    await meridian('keys', 'create', '--user', id, '--access-key', accessKey, '--secret-key', secretKey)
  }
}

/** Makes keys for SSE-KMS, under names that a suite knows. */
export async function createEncryptionKeys(data: string, names: readonly string[]): Promise<void> {
  for (const name of names)
    await run(process.execPath, [launcher, 'encryption-keys', 'create', '--name', name, '--data', data])
}
