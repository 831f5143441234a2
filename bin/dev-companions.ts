import { type ChildProcess, spawn } from 'node:child_process'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'

/** A companion that ended though nobody asked for it is started again after this, in milliseconds. */
const restartMs = 1_000
const readyMost = 30_000
const lookMs = 50

const deployed = join(import.meta.dirname, '..', 'deploy', 'prometheus')

interface CompanionParts {
  readonly command: string
  readonly words: readonly string[]
  /** Where it listens once it is ready, on 127.0.0.1. */
  readonly port: number
  readonly print: (line: string) => void
}

/** A program that regions work with, and that is not ours: it is started if it is installed, and kept running. */
export class Companion {
  readonly #parts: CompanionParts
  #child: ChildProcess | undefined
  #isStopping = false

  constructor(parts: CompanionParts) {
    this.#parts = parts
  }

  /** Resolves once it listens; rejects where it is not installed, or ends. */
  async start(): Promise<void> {
    const { command, words, port } = this.#parts
    // A group of its own: a terminal's signal must not end it before the regions that need it.
    const child = spawn(command, words, { stdio: ['ignore', 'ignore', 'inherit'], detached: true })
    this.#child = child
    const ended = new Promise<never>((_, reject) => {
      child.once('error', (error: NodeJS.ErrnoException) =>
        reject(error.code === 'ENOENT' ? new Error(`${command} is not installed`) : error),
      )
      child.once('exit', (code, signal) => reject(new Error(`${command} ended (${signal ?? code})`)))
    })
    try {
      await Promise.race([listens(port), ended])
    } catch (error) {
      child.kill('SIGKILL')
      throw error
    }
    ended.catch(() => this.#again())
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    const child = this.#child
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGTERM')
    await ended
  }

  #again(): void {
    const { command, print } = this.#parts
    if (this.#isStopping) return
    print(`${command} ended, and is started again`)
    setTimeout(() => {
      if (this.#isStopping) return
      this.start().catch((error: unknown) => {
        print(String(error))
        this.#again()
      })
    }, restartMs)
  }
}

async function listens(port: number): Promise<void> {
  const until = performance.now() + readyMost
  for (;;) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
      socket.once('connect', () => socket.destroy())
    })
    if (isOpen) return
    if (performance.now() > until) throw new Error(`nothing listens on port ${port}`)
    await new Promise((resolve) => setTimeout(resolve, lookMs))
  }
}

/** A queue of jobs: it keeps nothing on disk, since the outbox is the truth. */
export function redisCompanion(port: number, print: CompanionParts['print']): Companion {
  const words = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  return new Companion({ command: 'redis-server', words: [...words, '--loglevel', 'warning'], port, print })
}

/** Scrapes all regions, with the rules of deploy/prometheus. */
export function prometheusCompanion(
  folder: string,
  port: number,
  targets: readonly string[],
  print: CompanionParts['print'],
): Companion {
  mkdirSync(join(folder, 'targets'), { recursive: true })
  for (const file of ['prometheus.yml', 'rules.yml']) copyFileSync(join(deployed, file), join(folder, file))
  writeFileSync(join(folder, 'targets', 'dev.json'), `${JSON.stringify([{ targets }])}\n`)
  const words = [
    `--config.file=${join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--log.level=error',
  ]
  return new Companion({ command: 'prometheus', words, port, print })
}
