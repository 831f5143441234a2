import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const script = join(import.meta.dirname, '..', '..', 'bin', 'meridian.ts')

/** Nothing of our own settings: a test says what it wants. */
const kept = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('MERIDIAN_')))

export interface Ended {
  readonly code: number | null
  readonly output: string
  readonly errors: string
}

/** `meridian`, as a process of its own. */
export class Command {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  output = ''
  errors = ''

  constructor(words: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    this.child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script, ...words], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...kept, ...environment },
    })
    this.child.stdout?.on('data', (chunk: Buffer) => {
      this.output += chunk.toString()
    })
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.errors += chunk.toString()
    })
    this.ended = new Promise((resolve) => {
      this.child.on('close', (code) => resolve({ code, output: this.output, errors: this.errors }))
    })
  }

  /** The URL of the line `ready`; rejects where the process ends without it. */
  async ready(): Promise<string> {
    let isOver = false
    void this.ended.then(() => {
      isOver = true
    })
    for (;;) {
      const url = /^ready (http:\/\/\S+)$/m.exec(this.output)?.[1]
      if (url !== undefined) return url
      if (isOver) throw new Error(`ended before it was ready: ${this.errors}`)
      await new Promise((wake) => setTimeout(wake, 20))
    }
  }

  /** Process ids of the workers; Linux only. */
  workers(): readonly number[] {
    const { pid } = this.child
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
    return text === '' ? [] : text.split(' ').map(Number)
  }

  stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
    this.child.kill(signal)
    return this.ended
  }
}

export const meridian = (...words: string[]): Promise<Ended> => new Command(words).ended
