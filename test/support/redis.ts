import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePorts } from './free-ports.ts'

/** Whether this machine has a Redis to start. */
export const hasRedis = spawnSync('redis-server', ['--version']).status === 0

/** A Redis of a test's own, on loopback, that keeps nothing on disk. */
export class RedisProcess {
  readonly url: string
  readonly #port: number
  readonly #folder: string
  #child: ChildProcess

  private constructor(port: number, folder: string, child: ChildProcess) {
    this.url = `redis://127.0.0.1:${port}/0`
    this.#port = port
    this.#folder = folder
    this.#child = child
  }

  static async start(): Promise<RedisProcess> {
    const port = await freePorts(1)
    const folder = await mkdtemp(join(tmpdir(), 'meridian-redis-'))
    return new RedisProcess(port, folder, await launch(port, folder))
  }

  /** kill -9: all that it knew is gone. */
  async kill(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.kill('SIGKILL')
    await ended
  }

  /** Its connections stay, and nothing is answered any more. */
  hang(): void {
    this.#child.kill('SIGSTOP')
  }

  async restart(): Promise<void> {
    this.#child = await launch(this.#port, this.#folder)
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.kill()
    await rm(this.#folder, { recursive: true, force: true })
  }
}

async function launch(port: number, folder: string): Promise<ChildProcess> {
  const child = spawn(
    'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no'],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  )
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      if (chunk.toString().includes('Ready to accept connections')) resolve()
    })
    child.once('exit', (code) => reject(new Error(`redis-server ended with ${code}`)))
  })
  return child
}
