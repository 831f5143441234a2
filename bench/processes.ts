import { execFile, spawn } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const baseline = (name: string): string => fileURLToPath(new URL(`./baselines/${name}.ts`, import.meta.url))

/** A server that is measured. */
export interface Served {
  readonly port: number
  readonly pid: number
  stop(): Promise<void>
}

/** What the measuring process was tied to is inherited by what it starts, so those are told where they may run. */
export const allProcessors = `0-${cpus().length - 1}`

/** Ties a process and all of its threads to processors, where the machine has `taskset`; tells whether it did. */
export async function pin(pid: number, processors: string): Promise<boolean> {
  try {
    await promisify(execFile)('taskset', ['-a', '-p', '-c', processors, String(pid)])
    return true
  } catch {
    return false
  }
}

export async function serveBaseline(args: readonly string[]): Promise<Served> {
  // A group of its own, so that all of it can be tied to processors.
  const child = spawn(process.execPath, [baseline('server'), ...args], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const port = await new Promise<number>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      const ready = /ready http:\/\/127\.0\.0\.1:(\d+)/.exec(chunk.toString())
      if (ready !== null) resolve(Number(ready[1]))
    })
    child.on('exit', (code) => reject(new Error(`a baseline ended with ${code}`)))
  })
  const ended = new Promise((resolve) => child.on('exit', resolve))
  return {
    port,
    pid: child.pid ?? 0,
    stop: async () => {
      child.kill('SIGTERM')
      await ended
    },
  }
}

/** Writes a second of a bare loop; it has the machine to itself, unless tied to some processors. */
export async function runLoop(args: readonly string[], processors = allProcessors): Promise<number> {
  const running = promisify(execFile)(process.execPath, [baseline('loops'), ...args])
  if (running.child.pid !== undefined) await pin(running.child.pid, processors)
  const { stdout } = await running
  return Number(stdout)
}

/** All processes of a group, the leader first. */
async function membersOf(group: number): Promise<number[]> {
  const members: number[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (Number(fields[2]) === group) members.push(Number(name))
  }
  return members
}

/** The largest resident set that any process of a group ever had, in bytes. */
export async function peakMemory(group: number): Promise<number> {
  let peak = 0
  for (const pid of await membersOf(group)) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
    const kibibytes = Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0)
    peak = Math.max(peak, kibibytes * 1024)
  }
  return peak
}

/** Of a whole group of processes. */
export async function pinGroup(group: number, processors: string): Promise<void> {
  for (const pid of await membersOf(group)) await pin(pid, processors)
}
