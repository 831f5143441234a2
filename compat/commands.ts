import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { text } from 'node:stream/consumers'

/**
 * Other people's programs, run to their end.
 *
 * X1  nothing started here outlives this process: whatever still runs is killed, with its group, when we exit.
 * X2  a program that fails stops the run, and what it said itself is shown.
 */

const running = new Set<ChildProcess>()

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    // It ended between the look and the kill.
  }
}

process.on('exit', () => {
  for (const child of running) killGroup(child, 'SIGKILL')
})
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.once(signal, () => process.exit(code))
}

/** Starts a program as the head of its own process group (X1). */
export function start(command: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  const child = spawn(command, [...args], { ...options, detached: true })
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

/** Ends a program kindly, then not; resolves to its exit code, or to the signal's name. */
export async function end(child: ChildProcess, patience: number): Promise<number | string> {
  const ended = exit(child)
  // To its head alone, which passes it on: a second one, late, would meet a process that has just let go of its handlers.
  child.kill('SIGTERM')
  const impatient = setTimeout(() => killGroup(child, 'SIGKILL'), patience)
  try {
    return await ended
  } finally {
    clearTimeout(impatient)
  }
}

export function exit(child: ChildProcess): Promise<number | string> {
  if (child.exitCode !== null) return Promise.resolve(child.exitCode)
  if (child.signalCode !== null) return Promise.resolve(child.signalCode)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 'unknown'))
  })
}

export interface RunOptions {
  readonly cwd?: string
  readonly environment?: NodeJS.ProcessEnv
  readonly input?: string
  /** Both outputs go to this file as well, for programs that run long. */
  readonly log?: string
}

export interface Ran {
  readonly code: number | string
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program and tells how it ended, whatever that was. */
export async function attempt(command: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const child = start(command, args, {
    cwd: options.cwd,
    env: options.environment ?? process.env,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const { stdin, stdout, stderr } = child
  if (stdin === null || stdout === null || stderr === null) throw new Error(`${command} has no pipes`)
  // A program may end without reading what it was given; its exit code tells, not the broken pipe.
  stdin.on('error', () => undefined)
  stdin.end(options.input ?? '')
  if (options.log !== undefined) {
    const log = createWriteStream(options.log)
    stdout.pipe(log, { end: false })
    stderr.pipe(log, { end: false })
  }
  const [code, out, err] = await Promise.all([exit(child), text(stdout), text(stderr)])
  return { code, stdout: out, stderr: err }
}

/** Runs a program that must succeed; gives what it printed. */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const ran = await attempt(command, args, options)
  if (ran.code !== 0) throw new Error(failure(command, args, ran))
  return ran.stdout
}

/** Runs a program that must fail and say `why`. */
export async function refuse(
  command: string,
  args: readonly string[],
  why: RegExp,
  options: RunOptions = {},
): Promise<void> {
  const ran = await attempt(command, args, options)
  if (ran.code === 0 || !why.test(ran.stdout + ran.stderr)) {
    throw new Error(`should have been refused with ${why}\n${failure(command, args, ran)}`)
  }
}

const shown = 4_000

function failure(command: string, args: readonly string[], ran: Ran): string {
  const line = [command, ...args].map((word) => (/[\s"'*?]/.test(word) ? JSON.stringify(word) : word)).join(' ')
  const said = [ran.stdout.slice(-shown), ran.stderr.slice(-shown)].map((each) => each.trimEnd()).filter(Boolean)
  return [`$ ${line.slice(0, shown)}`, `  ended with ${ran.code}`, ...said].join('\n')
}
