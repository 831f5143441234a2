import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Credentials } from './signed-client.ts'

const launcher = fileURLToPath(new URL('../../bin/launch.mjs', import.meta.url))

export const administrator: Credentials = {
  accessKey: 'HARNESSADMINISTRATOR',
  secretKey: 'harness-secret-of-the-administrator',
}

export interface ServerOptions {
  readonly data: string
  readonly workers?: number
  readonly flags?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  /** How long it may take to be ready, in milliseconds. */
  readonly patience?: number
}

/** `meridian serve` as its users start it: a process group of its own, so that all of it can be killed at once. */
export class ServerProcess {
  readonly endpoint: string
  readonly #child: ChildProcess
  readonly #ended: Promise<number | null>
  readonly #errors: () => string

  private constructor(child: ChildProcess, endpoint: string, ended: Promise<number | null>, errors: () => string) {
    this.#child = child
    this.endpoint = endpoint
    this.#ended = ended
    this.#errors = errors
  }

  /** Rejects, with what it printed, where it ends or is not ready in time. */
  static async start(options: ServerOptions): Promise<ServerProcess> {
    const { data, workers = 2, flags = [], environment = {}, patience = 120_000 } = options
    const args = [launcher, 'serve', '--port', '0', '--data', data, '--workers', String(workers), ...flags]
    const child = spawn(process.execPath, args, {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        MERIDIAN_ACCESS_KEY: administrator.accessKey,
        MERIDIAN_SECRET_KEY: administrator.secretKey,
        ...environment,
      },
    })
    let errors = ''
    child.stderr.on('data', (chunk: Buffer) => {
      errors = (errors + chunk.toString()).slice(-20_000)
    })
    const ended = new Promise<number | null>((resolve) => child.on('exit', resolve))
    const endpoint = await new Promise<string>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`not ready after ${patience} ms\n${errors}`)), patience)
      let printed = ''
      child.stdout.on('data', (chunk: Buffer) => {
        printed += chunk.toString()
        const ready = /^ready (http:\/\/\S+)$/m.exec(printed)
        if (ready?.[1] !== undefined) {
          clearTimeout(timer)
          resolve(ready[1])
        }
      })
      child.on('exit', (code) => {
        clearTimeout(timer)
        reject(new Error(`ended with ${code} before it was ready\n${errors}`))
      })
    }).catch((error: unknown) => {
      killGroup(child)
      throw error
    })
    return new ServerProcess(child, endpoint, ended, () => errors)
  }

  get errors(): string {
    return this.#errors()
  }

  /** Of the group's leader. */
  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** kill -9 for all of its processes at once. */
  async kill(): Promise<void> {
    killGroup(this.#child)
    await this.#ended
  }

  /** SIGTERM; gives the exit code. */
  async stop(): Promise<number | null> {
    this.#child.kill('SIGTERM')
    return await this.#ended
  }
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It is gone already.
  }
}
