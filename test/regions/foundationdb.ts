import type { ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findExecutable } from '../../bin/executables.ts'
import { type Check, wait } from './check.ts'
import { underFaults } from './faults.ts'
import type { Machines } from './machines.ts'
import { onceIn } from './once.ts'
import { codeAt, hung, killed, type Trouble } from './troubles.ts'

/** On the loopback of each machine, which is its own. */
const port = 4500
const address = `127.0.0.1:${port}`
const readyMost = 120_000
const awayMilliseconds = 3_000
/** Longer than a node leads that does not reach its cell: what is done once in it ends, and begins again. */
const hungMilliseconds = 12_000
/** For commits to be made whose answers are lost. */
const muteMilliseconds = 300

/** A FoundationDB cluster of one process on the machine of each region. */
export class FoundationServers {
  readonly #machines: Machines
  readonly #folder = mkdtempSync(join(tmpdir(), 'meridian-fdb-regions-'))
  readonly #children = new Map<string, ChildProcess>()

  constructor(machines: Machines) {
    this.#machines = machines
  }

  /** What puts a region's metadata there. */
  readonly environmentOf = (code: string): Readonly<Record<string, string>> => ({
    MERIDIAN_METADATA: 'foundationdb',
    MERIDIAN_FDB_CLUSTER_FILE: this.#clusterFile(code),
    MERIDIAN_FDB_TIMEOUT: '15',
  })

  async begin(code: string): Promise<void> {
    for (const each of ['data', 'logs']) mkdirSync(join(this.#folder, code, each), { recursive: true })
    writeFileSync(this.#clusterFile(code), `${code}:meridian@${address}\n`)
    this.start(code)
    await this.#command(code, 'configure new single ssd')
  }

  /** Again after a kill. */
  start(code: string): void {
    const folder = join(this.#folder, code)
    const sizes = ['--memory', '4GiB', '--storage-memory', '1GiB', '--cache-memory', '128MiB']
    const child = this.#machines.spawn(
      code,
      [
        ...[findExecutable('fdbserver') ?? 'fdbserver', '-p', address, '-l', address, '-C', this.#clusterFile(code)],
        ...['-d', join(folder, 'data'), '-L', join(folder, 'logs'), ...sizes],
      ],
      {},
    )
    child.stdout?.resume()
    child.stderr?.resume()
    this.#children.set(code, child)
  }

  /** What it answers is lost from now on, so that commits are made of which nobody hears; and then kill -9. */
  async killUnheard(code: string): Promise<void> {
    this.#machines.mute(code, port)
    await wait(muteMilliseconds)
    await this.kill(code)
    this.#machines.unmute(code)
  }

  /** kill -9. */
  async kill(code: string): Promise<void> {
    const child = this.#children.get(code)
    if (child?.pid === undefined) return
    this.#children.delete(code)
    const ended = new Promise((resolve) => child.once('exit', resolve))
    process.kill(-child.pid, 'SIGKILL')
    await ended
  }

  signal(code: string, signal: 'SIGSTOP' | 'SIGCONT'): void {
    const pid = this.#children.get(code)?.pid
    if (pid !== undefined) process.kill(-pid, signal)
  }

  /** Its disk is gone, and it has another one. */
  async replace(code: string): Promise<void> {
    await this.kill(code)
    rmSync(join(this.#folder, code), { recursive: true })
    await this.begin(code)
  }

  async close(): Promise<void> {
    await Promise.all([...this.#children.keys()].map((code) => this.kill(code)))
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #clusterFile(code: string): string {
    return join(this.#folder, code, 'fdb.cluster')
  }

  async #command(code: string, text: string): Promise<void> {
    const words = [
      findExecutable('fdbcli') ?? 'fdbcli',
      '-C',
      this.#clusterFile(code),
      '--timeout',
      '60',
      '--exec',
      text,
    ]
    const until = performance.now() + readyMost
    for (;;) {
      const child = this.#machines.spawn(code, words, {})
      let said = ''
      child.stdout?.on('data', (chunk: Buffer) => {
        said += chunk.toString()
      })
      const status = await new Promise((resolve) => child.once('exit', resolve))
      if (status === 0) return
      if (performance.now() > until) throw new Error(`${text}: ${said}`)
    }
  }
}

export const foundationNames = [
  'kill -9 of a fdbserver, again and again: nothing acknowledged is lost, nothing happens twice',
  'a fdbserver that hangs: nothing acknowledged is lost, nothing happens twice',
  'gateways and fdbservers, killed and stopped in turn: nothing acknowledged is lost, nothing happens twice',
] as const

const serverKilled =
  (servers: FoundationServers): Trouble =>
  async (cluster, round) => {
    const code = codeAt(cluster, round)
    await servers.killUnheard(code)
    await wait(awayMilliseconds)
    servers.start(code)
  }

const serverHung =
  (servers: FoundationServers): Trouble =>
  async (cluster, round) => {
    const code = codeAt(cluster, round)
    servers.signal(code, 'SIGSTOP')
    await wait(hungMilliseconds)
    servers.signal(code, 'SIGCONT')
  }

export const foundationChecks = (servers: FoundationServers): readonly Check[] => [
  underFaults({
    name: foundationNames[0],
    bucket: 'fdb-killed',
    companions: onceIn('fdb-killed-once'),
    trouble: () => serverKilled(servers),
  }),
  underFaults({
    name: foundationNames[1],
    bucket: 'fdb-hung',
    companions: onceIn('fdb-hung-once'),
    trouble: () => serverHung(servers),
  }),
  underFaults({
    name: foundationNames[2],
    bucket: 'fdb-mixed',
    companions: onceIn('fdb-mixed-once'),
    trouble: () => {
      const kinds = [serverKilled(servers), killed, serverHung(servers), hung(awayMilliseconds)]
      return async (cluster, round) => await kinds[round % kinds.length]?.(cluster, round)
    },
    // Each kind meets each region in the long form.
    rounds: ({ isLong }) => (isLong ? 24 : 4),
  }),
]
