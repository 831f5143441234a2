import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePorts } from './free-ports.ts'
import { administrator } from './server-process.ts'
import { SignedClient } from './signed-client.ts'

const command = fileURLToPath(new URL('../../bin/meridian.ts', import.meta.url))
const readyMost = 180_000
const stopMost = 60_000

export interface DevOptions {
  readonly codes: readonly string[]
  /** As `--latency` has it. */
  readonly latency: string
  readonly workers?: number
  readonly metrics?: boolean
  readonly flags?: readonly string[]
  /** Regions that have no part of the disk, where the machine lets them have memory instead. */
  readonly inMemory?: readonly string[]
}

interface Folders {
  readonly folder: string
  readonly inMemory: readonly string[]
}

/** A file system that is in memory, on Linux. */
const memory = '/dev/shm'

/** Makes the directories of regions that are to be in memory. */
function placeInMemory(folder: string, codes: readonly string[]): readonly string[] {
  if (!existsSync(memory)) return []
  return codes.map((code) => {
    const place = mkdtempSync(join(memory, 'meridian-dev-'))
    symlinkSync(place, join(folder, code))
    return place
  })
}

/** `meridian dev` as its users start it, on ports that are free, in a directory of its own. */
export class DevCluster {
  readonly codes: readonly string[]
  readonly metricsPorts: readonly number[]
  readonly #folder: string
  readonly #inMemory: readonly string[]
  readonly #child: ChildProcess
  readonly #port: number
  readonly #printed: () => string

  private constructor(
    options: DevOptions,
    { folder, inMemory }: Folders,
    child: ChildProcess,
    port: number,
    printed: () => string,
  ) {
    this.codes = options.codes
    this.#folder = folder
    this.#inMemory = inMemory
    this.#child = child
    this.#port = port
    this.#printed = printed
    this.metricsPorts =
      options.metrics === true ? options.codes.map((_, at) => port + 2 * options.codes.length + at) : []
  }

  static async start(options: DevOptions): Promise<DevCluster> {
    const { codes, latency, workers = 1, metrics = false, flags = [] } = options
    const folder = mkdtempSync(join(tmpdir(), 'meridian-dev-'))
    const inMemory = placeInMemory(folder, options.inMemory ?? [])
    const port = await freePorts(3 * codes.length)
    const words = [
      ...[...process.execArgv, command, 'dev', '--regions', codes.join(','), '--latency', latency],
      ...['--data', folder, '--workers', String(workers)],
      ...['--port', String(port), '--peer-port', String(port + codes.length)],
      ...(metrics ? ['--metrics-port', String(port + 2 * codes.length)] : []),
      ...flags,
    ]
    const child = spawn(process.execPath, words, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        MERIDIAN_ACCESS_KEY: administrator.accessKey,
        MERIDIAN_SECRET_KEY: administrator.secretKey,
      },
    })
    let printed = ''
    const cluster = new DevCluster(options, { folder, inMemory }, child, port, () => printed)
    const ready = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`not ready in time\n${printed}`)), readyMost)
      const note = (chunk: Buffer): void => {
        printed = (printed + chunk.toString()).slice(-100_000)
        if (!/^ready$/m.test(printed)) return
        clearTimeout(timer)
        resolve()
      }
      child.stdout.on('data', note)
      child.stderr.on('data', note)
      child.once('exit', (code) => {
        clearTimeout(timer)
        reject(new Error(`ended with ${code}\n${printed}`))
      })
    })
    try {
      await ready
    } catch (error) {
      await cluster.stop()
      throw error
    }
    return cluster
  }

  portOf(code: string): number {
    return this.#port + this.codes.indexOf(code)
  }

  client(code: string, sockets?: number): SignedClient {
    return new SignedClient(`http://127.0.0.1:${this.portOf(code)}`, administrator, sockets)
  }

  /** The directory of a region. */
  dataOf(code: string): string {
    return join(this.#folder, code)
  }

  /** Of a region's leader: all of its processes are in a group of that number. */
  pidOf(code: string): number {
    const found = [...this.#printed().matchAll(new RegExp(`^region ${code} \\S+ pid (\\d+)$`, 'gm'))].at(-1)
    if (found === undefined) throw new Error(`there is no region ${code}`)
    return Number(found[1])
  }

  get printed(): string {
    return this.#printed()
  }

  /** Lets all regions end by themselves, and ends them where they do not. */
  async stop(): Promise<void> {
    const { exitCode, signalCode } = this.#child
    if (exitCode === null && signalCode === null) {
      const ended = new Promise((resolve) => this.#child.once('exit', resolve))
      const groups = this.codes.flatMap((code) => {
        try {
          return [this.pidOf(code)]
        } catch {
          return []
        }
      })
      this.#child.kill('SIGTERM')
      const timer = setTimeout(() => {
        for (const group of groups) killGroup(group)
        this.#child.kill('SIGKILL')
      }, stopMost)
      await ended
      clearTimeout(timer)
    }
    for (const each of [this.#folder, ...this.#inMemory]) rmSync(each, { recursive: true, force: true })
  }
}

function killGroup(group: number): void {
  try {
    process.kill(-group, 'SIGKILL')
  } catch {
    // It is gone already.
  }
}
