import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { startClient } from '#src/store/foundationdb/native.ts'

const run = promisify(execFile)
const places = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/bin', '/usr/local/sbin', '/usr/sbin']

function find(name: string): string | undefined {
  return places.map((place) => join(place, name)).find((file) => existsSync(file) && isExecutable(file))
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Why nothing can be shown on FoundationDB here; undefined where it can. */
export function whyNoFoundationDb(): string | undefined {
  for (const name of ['fdbserver', 'fdbcli']) if (find(name) === undefined) return `${name} is not installed`
  try {
    startClient({})
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** A cluster of one fdbserver on a free port of the loopback, in a folder of its own. */
export class TestCluster {
  readonly clusterFile: string
  readonly #folder: string
  readonly #port: number
  #child: ChildProcess | undefined

  private constructor(folder: string, port: number) {
    this.#folder = folder
    this.#port = port
    this.clusterFile = join(folder, 'fdb.cluster')
  }

  static async start(engine: 'memory' | 'ssd' = 'memory'): Promise<TestCluster> {
    const folder = mkdtempSync(join(tmpdir(), 'meridian-fdb-'))
    const cluster = new TestCluster(folder, await freePort())
    for (const each of ['data', 'logs']) mkdirSync(join(folder, each))
    writeFileSync(cluster.clusterFile, `meridian:${randomBytes(8).toString('hex')}@127.0.0.1:${cluster.#port}\n`)
    cluster.resume()
    try {
      await cluster.command(`configure new single ${engine}`)
    } catch (error) {
      await cluster.stop()
      throw error
    }
    return cluster
  }

  /** Starts the server, again after a kill. */
  resume(): void {
    const address = `127.0.0.1:${this.#port}`
    const sizes = ['--memory', '4GiB', '--storage-memory', '1GiB', '--cache-memory', '256MiB']
    const folders = ['-C', this.clusterFile, '-d', join(this.#folder, 'data'), '-L', join(this.#folder, 'logs')]
    this.#child = spawn(find('fdbserver') ?? 'fdbserver', ['-p', address, '-l', address, ...folders, ...sizes], {
      stdio: 'ignore',
    })
  }

  async command(text: string): Promise<string> {
    const { stdout } = await run(find('fdbcli') ?? 'fdbcli', [
      ...['-C', this.clusterFile, '--timeout', '120', '--exec', text],
    ])
    return stdout
  }

  /** Without a chance to do anything about it. */
  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  /** Stops the process as it stands, and lets it go on. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(signal)
  }

  async stop(): Promise<void> {
    await this.kill()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** A part of the cluster that nobody else has. */
export const freshPrefix = (): string => `test-${randomBytes(8).toString('hex')}`

/** Names the cluster that a whole run of tests is to use, for its metadata (`npm test -- --metadata foundationdb`). */
export const clusterVariable = 'MERIDIAN_TEST_FDB_CLUSTER_FILE'

/** Settings that put a node's metadata where this run of tests wants it, in a place of its own. */
export function metadataSettings(): Readonly<Record<string, string>> {
  const clusterFile = process.env[clusterVariable]
  if (clusterFile === undefined) return {}
  return { metadata: 'foundationdb', fdbClusterFile: clusterFile, fdbPrefix: freshPrefix(), fdbTimeout: '60' }
}
