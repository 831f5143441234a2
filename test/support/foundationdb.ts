import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startClient } from '#src/store/foundationdb/native.ts'
import { findExecutable } from '../../bin/executables.ts'
import { freePorts } from './free-ports.ts'

const run = promisify(execFile)
/** Why nothing can be shown on FoundationDB here; undefined where it can. */
export function whyNoFoundationDb(): string | undefined {
  for (const name of ['fdbserver', 'fdbcli']) if (findExecutable(name) === undefined) return `${name} is not installed`
  try {
    startClient({})
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

export interface TestClusterOptions {
  /** Default: memory. */
  readonly engine?: 'memory' | 'ssd'
  /** Default: one, which has the only copy. Of more, two have each row (`double`), and all are coordinators. */
  readonly processes?: number
  /** Default: a folder of the system's temporary ones. */
  readonly under?: string
}

/** A cluster of fdbservers on free ports of the loopback, in a folder of its own. */
export class TestCluster {
  readonly clusterFile: string
  readonly #folder: string
  readonly #ports: readonly number[]
  readonly #children: (ChildProcess | undefined)[] = []

  private constructor(folder: string, ports: readonly number[]) {
    this.#folder = folder
    this.#ports = ports
    this.clusterFile = join(folder, 'fdb.cluster')
  }

  static async start({ engine = 'memory', processes = 1, under }: TestClusterOptions = {}): Promise<TestCluster> {
    const folder = mkdtempSync(join(under ?? tmpdir(), 'meridian-fdb-'))
    const first = await freePorts(processes)
    const ports = Array.from({ length: processes }, (_, at) => first + at)
    const cluster = new TestCluster(folder, ports)
    const coordinators = ports.map((port) => `127.0.0.1:${port}`).join(',')
    writeFileSync(cluster.clusterFile, `meridian:${randomBytes(8).toString('hex')}@${coordinators}\n`)
    for (let index = 0; index < processes; index++) {
      for (const each of ['data', 'logs']) mkdirSync(join(folder, `${each}-${index}`))
      cluster.resume(index)
    }
    try {
      await cluster.command(`configure new ${processes === 1 ? 'single' : 'double'} ${engine}`)
    } catch (error) {
      await cluster.stop()
      throw error
    }
    return cluster
  }

  /** Starts a server, again after a kill. */
  resume(index = 0): void {
    const address = `127.0.0.1:${this.#ports[index]}`
    const sizes = ['--memory', '4GiB', '--storage-memory', '1GiB', '--cache-memory', '256MiB']
    const [data, logs] = [join(this.#folder, `data-${index}`), join(this.#folder, `logs-${index}`)]
    // Each plays a machine of its own: copies are on different ones.
    const place = ['--locality-machineid', `machine-${index}`, '--locality-zoneid', `machine-${index}`]
    this.#children[index] = spawn(
      findExecutable('fdbserver') ?? 'fdbserver',
      ['-p', address, '-l', address, '-C', this.clusterFile, '-d', data, '-L', logs, ...place, ...sizes],
      { stdio: 'ignore' },
    )
  }

  async command(text: string): Promise<string> {
    const { stdout } = await run(findExecutable('fdbcli') ?? 'fdbcli', [
      ...['-C', this.clusterFile, '--timeout', '120', '--exec', text],
    ])
    return stdout
  }

  /** Without a chance to do anything about it. */
  async kill(index = 0): Promise<void> {
    const child = this.#children[index]
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  /** Stops a process as it stands, and lets it go on. */
  signal(signal: 'SIGSTOP' | 'SIGCONT', index = 0): void {
    this.#children[index]?.kill(signal)
  }

  async stop(): Promise<void> {
    for (const index of this.#children.keys()) await this.kill(index)
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
