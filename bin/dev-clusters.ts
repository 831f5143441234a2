import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DataDirectoryError } from '#src/data-directory.ts'
import { findExecutable } from './executables.ts'

/** Sizes for a machine that has others to run: the defaults are 8 GiB and 2 GiB. */
const sizes = ['--memory', '4GiB', '--storage-memory', '1GiB', '--cache-memory', '128MiB']
const configureSeconds = 120

function find(name: string): string {
  const file = findExecutable(name)
  if (file !== undefined) return file
  throw new DataDirectoryError(
    `${name} is not installed: it is in the packages foundationdb-server and foundationdb-clients of FoundationDB's releases`,
  )
}

/** A FoundationDB cluster of one process for each region, on loopback: to try, not to keep anything in. */
export class DevClusters {
  readonly #data: string
  readonly #children: ChildProcess[] = []
  readonly #server = find('fdbserver')
  readonly #client = find('fdbcli')

  constructor(data: string) {
    this.#data = data
  }

  /** Flags of `serve` for the region whose cluster it is. Resolves once it is configured, the first time or before. */
  start(region: string, port: number): readonly string[] {
    const folder = join(this.#data, `${region}-foundationdb`)
    const clusterFile = join(folder, 'fdb.cluster')
    const address = `127.0.0.1:${port}`
    const isNew = !existsSync(clusterFile)
    for (const each of ['data', 'logs']) mkdirSync(join(folder, each), { recursive: true })
    if (isNew) writeFileSync(clusterFile, `${region}:${randomBytes(8).toString('hex')}@${address}\n`)
    const folders = ['-C', clusterFile, '-d', join(folder, 'data'), '-L', join(folder, 'logs')]
    const child = spawn(this.#server, ['-p', address, '-l', address, ...folders, ...sizes], {
      stdio: 'ignore',
      // A terminal's signal is for us: gateways that drain still need it.
      detached: true,
    })
    this.#children.push(child)
    if (isNew) {
      const words = ['-C', clusterFile, '--timeout', String(configureSeconds), '--exec', 'configure new single ssd']
      const { status, stdout } = spawnSync(this.#client, words, { encoding: 'utf8' })
      if (status !== 0) throw new DataDirectoryError(`the cluster of ${region} cannot be configured: ${stdout.trim()}`)
    }
    return ['--metadata', 'foundationdb', '--fdb-cluster-file', clusterFile]
  }

  /** To be called once nobody needs them any more. */
  stop(): void {
    for (const child of this.#children) child.kill('SIGTERM')
  }
}
