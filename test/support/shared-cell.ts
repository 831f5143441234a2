import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freshPrefix, type TestCluster } from './foundationdb.ts'
import { freePorts } from './free-ports.ts'
import { administrator, ServerProcess } from './server-process.ts'
import { SignedClient } from './signed-client.ts'

export interface RunningNode {
  readonly server: ServerProcess
  readonly client: SignedClient
  readonly data: string
}

/** Several `meridian serve` of one region on one prefix of a cluster, each with a data directory, volumes and ports of its own. */
export class SharedCell {
  readonly folder: string
  readonly cluster: TestCluster
  readonly prefix = freshPrefix()
  readonly #ports = new Map<string, number>()
  readonly #running = new Set<ServerProcess>()

  constructor(cluster: TestCluster) {
    this.cluster = cluster
    this.folder = mkdtempSync(join(tmpdir(), 'meridian-nodes-'))
    writeFileSync(join(this.folder, 'secret'), randomBytes(32).toString('hex'))
  }

  get metadataFlags(): readonly string[] {
    return [
      ...['--metadata', 'foundationdb', '--fdb-cluster-file', this.cluster.clusterFile],
      ...['--fdb-prefix', this.prefix, '--fdb-timeout', '30'],
    ]
  }

  dataOf(name: string): string {
    return join(this.folder, name)
  }

  /** The flags of `serve` that all nodes of the cell have in common. */
  get flags(): readonly string[] {
    return [
      ...this.metadataFlags,
      ...['--region', 'fra', '--cluster-secret-file', join(this.folder, 'secret')],
      ...['--key-file', join(this.folder, 'keys.json')],
    ]
  }

  /** A node of that name, the first time or again. */
  async start(name: string, workers = 1, more: readonly string[] = []): Promise<RunningNode> {
    const port = this.#ports.get(name) ?? (await freePorts(1))
    this.#ports.set(name, port)
    const flags = [...this.flags, '--peer-port', String(port), ...more]
    const data = this.dataOf(name)
    const server = await ServerProcess.start({ data, workers, flags, patience: 90_000 })
    this.#running.add(server)
    return { server, client: new SignedClient(server.endpoint, administrator), data }
  }

  async stop(): Promise<void> {
    for (const server of this.#running) await server.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }
}
