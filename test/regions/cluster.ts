import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { S3Client } from '@aws-sdk/client-s3'
import { administrator } from '../support/server-process.ts'
import type { Machines } from './machines.ts'

const command = fileURLToPath(new URL('../../bin/meridian.ts', import.meta.url))
const port = 9000
const peerPort = 9100
const readyMost = 60_000

export interface ClusterOptions {
  readonly machines: Machines
  readonly codes: readonly string[]
  /** Milliseconds of a round trip between two regions. */
  readonly latency: number
  readonly flags?: readonly string[]
  /** What the processes of a region find in their environment besides. */
  readonly environmentOf?: (code: string) => Readonly<Record<string, string>>
  /** What else is gone with a region's disks. */
  readonly destroyed?: (code: string) => Promise<void>
}

/** Whole regions, each on a machine of its own, as `meridian dev` runs them on one. */
export class Cluster {
  readonly codes: readonly string[]
  readonly #options: ClusterOptions
  readonly #folder = mkdtempSync(join(tmpdir(), 'meridian-regions-'))
  readonly #children = new Map<string, ChildProcess>()
  readonly #clients = new Map<string, S3Client>()
  readonly #logs = new Map<string, string>()

  constructor(options: ClusterOptions) {
    this.#options = options
    this.codes = options.codes
    writeFileSync(join(this.#folder, 'secret'), randomBytes(32).toString('hex'), { mode: 0o600 })
  }

  async start(): Promise<void> {
    for (const code of this.codes) await this.startRegion(code)
  }

  get machines(): Machines {
    return this.#options.machines
  }

  endpoint(code: string): string {
    return `http://[${this.#options.machines.address(code)}]:${port}`
  }

  /** A client of that region, as an application there has one. */
  client(code: string): S3Client {
    const client = this.#clients.get(code) ?? this.#connect(code, 20_000)
    this.#clients.set(code, client)
    return client
  }

  /** One that gives up after so many milliseconds. */
  impatientClient(code: string, requestTimeout: number): S3Client {
    const name = `${code} ${requestTimeout}`
    const client = this.#clients.get(name) ?? this.#connect(code, requestTimeout)
    this.#clients.set(name, client)
    return client
  }

  #connect(code: string, requestTimeout: number): S3Client {
    return new S3Client({
      endpoint: this.endpoint(code),
      region: 'auto',
      forcePathStyle: true,
      maxAttempts: 1,
      requestHandler: { connectionTimeout: 2_000, requestTimeout, throwOnRequestTimeout: true },
      credentials: { accessKeyId: administrator.accessKey, secretAccessKey: administrator.secretKey },
    })
  }

  dataOf(code: string): string {
    return join(this.#folder, code)
  }

  log(code: string): string {
    return this.#logs.get(code) ?? ''
  }

  /** What `meridian` prints, beside that region's server; rejects where it fails. */
  async meridian(code: string, ...words: readonly string[]): Promise<string> {
    const { machines, environmentOf } = this.#options
    const line = [process.execPath, ...process.execArgv, command, ...words, '--data', this.dataOf(code)]
    const child = machines.spawn(code, line, { ...environmentOf?.(code) })
    const ended = new Promise((resolve) => child.once('exit', resolve))
    const [said, complained] = await Promise.all(
      [child.stdout, child.stderr].map((each) => (each === null ? '' : text(each))),
    )
    const status = await ended
    if (status !== 0) throw new Error(`meridian ${words.join(' ')}: ended with ${status}: ${complained}`)
    return said ?? ''
  }

  async startRegion(code: string): Promise<void> {
    const { machines, latency, flags = [], environmentOf } = this.#options
    const [root = ''] = this.codes
    const address = machines.address(code)
    const others = this.codes.filter((each) => each !== code)
    const words = [
      ...[process.execPath, ...process.execArgv, command, 'serve', '--region', code, '--data', this.dataOf(code)],
      ...['--host', address, '--port', String(port), '--workers', '1', '--log-level', 'warn'],
      ...['--cluster-secret-file', join(this.#folder, 'secret'), '--peer-port', String(peerPort)],
      ...['--key-file', join(this.#folder, 'keys.json')],
      ...(latency > 0 ? ['--peer-delay', others.map((each) => `${each}=${latency}`).join(',')] : []),
      ...(code === root ? [] : ['--join', `http://[${machines.address(root)}]:${peerPort}`]),
      ...flags,
    ]
    const child = machines.spawn(code, words, {
      MERIDIAN_ACCESS_KEY: administrator.accessKey,
      MERIDIAN_SECRET_KEY: administrator.secretKey,
      ...environmentOf?.(code),
    })
    this.#children.set(code, child)
    const note = (chunk: Buffer): void => {
      this.#logs.set(code, (this.log(code) + chunk.toString()).slice(-100_000))
    }
    child.stderr?.on('data', note)
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${code} is not ready\n${this.log(code)}`)), readyMost)
      child.stdout?.on('data', (chunk: Buffer) => {
        note(chunk)
        if (/^ready /m.test(chunk.toString())) {
          clearTimeout(timer)
          resolve()
        }
      })
      child.once('exit', (status) => {
        clearTimeout(timer)
        reject(new Error(`${code} ended with ${status}\n${this.log(code)}`))
      })
    })
  }

  /** kill -9, of all its processes at once. */
  async kill(code: string): Promise<void> {
    await this.#signal(code, 'SIGKILL')
  }

  /** kill -9, and its disks are gone: metadata and volumes. */
  async destroy(code: string): Promise<void> {
    await this.kill(code)
    rmSync(this.dataOf(code), { recursive: true })
    await this.#options.destroyed?.(code)
  }

  /** It is there, and does nothing: as a machine that hangs. */
  freeze(code: string): void {
    const pid = this.#children.get(code)?.pid
    if (pid !== undefined) process.kill(-pid, 'SIGSTOP')
  }

  thaw(code: string): void {
    const pid = this.#children.get(code)?.pid
    if (pid !== undefined) process.kill(-pid, 'SIGCONT')
  }

  async close(): Promise<void> {
    for (const client of this.#clients.values()) client.destroy()
    await Promise.all([...this.#children.keys()].map((code) => this.#signal(code, 'SIGKILL')))
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #signal(code: string, signal: NodeJS.Signals): Promise<void> {
    const child = this.#children.get(code)
    if (child?.pid === undefined) return
    this.#children.delete(code)
    const ended = new Promise((resolve) => child.once('exit', resolve))
    try {
      process.kill(-child.pid, signal)
    } catch {
      // It has ended by itself.
      return
    }
    await ended
  }
}
