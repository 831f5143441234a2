import { type ChildProcess, spawn } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { relative } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

/**
 * Runs test files, each in a process and a process group of its own.
 *
 * Node's own runner waits for the process of a file whatever happens: --test-timeout ends a test that awaits, but neither one that loops
 * without a pause nor a file that keeps a server open, and --test-force-exit only hides the latter. So each file is run directly, has a
 * time of its own, and is ended with all that it started.
 */
export interface Limits {
  /** Files at once. */
  readonly concurrency: number
  /** Milliseconds that a file may take. */
  readonly fileMs: number
  /** Milliseconds that all of them may take. */
  readonly wholeMs: number
}

export interface Run {
  readonly files: readonly string[]
  /** What node is told before the name of a file. */
  readonly options: readonly string[]
  readonly root: string
  readonly env: NodeJS.ProcessEnv
  readonly limits: Limits
  print(text: string): void
}

export interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

/** The last line of test/reporter.ts. */
const summary = /\n(\d+) passed, (\d+) failed, (\d+) skipped\n$/

/** How long what a file wrote may still be on its way once it is gone. */
const drainMs = 5_000

export class TestFiles {
  readonly #run: Run
  readonly #children = new Map<string, ChildProcess>()
  readonly #ends = new Map<string, string>()
  readonly #seconds: { readonly name: string; readonly seconds: number }[] = []
  #counts: Counts = { passed: 0, failed: 0, skipped: 0 }
  #isOver = false

  constructor(run: Run) {
    this.#run = run
  }

  async run(): Promise<Counts> {
    const { files, limits, print } = this.#run
    const left = [...files]
    const begun = performance.now()
    const alarm = setTimeout(() => {
      print(`FAILED the run did not end within ${limits.wholeMs / 1_000} s: ${left.length} files were not begun\n`)
      left.length = 0
      this.stop(`was running when the time of the run, ${limits.wholeMs / 1_000} s, was over`)
    }, limits.wholeMs)
    const lanes = Array.from({ length: limits.concurrency }, async () => {
      for (let file = left.shift(); file !== undefined; file = left.shift()) await this.#file(file)
    })
    await Promise.all(lanes)
    clearTimeout(alarm)
    const slowest = this.#seconds.sort((a, b) => b.seconds - a.seconds).slice(0, 5)
    print(`\nslowest: ${slowest.map(({ name, seconds }) => `${name} ${seconds.toFixed(0)} s`).join(', ')}\n`)
    const { passed, failed, skipped } = this.#counts
    print(`${passed} passed, ${failed} failed, ${skipped} skipped in ${seconds(begun)} s\n`)
    return this.#counts
  }

  /** Ends every file that runs, with all that it started; none is begun any more. */
  stop(reason: string): void {
    this.#isOver = true
    for (const [file, child] of this.#children) {
      this.#ends.set(file, reason)
      endGroup(child)
    }
  }

  async #file(file: string): Promise<void> {
    if (this.#isOver) return
    const { options, root, env, limits, print } = this.#run
    const name = relative(root, file)
    const begun = performance.now()
    const child = spawn(process.execPath, [...options, file], {
      cwd: root,
      // Of a run that runs this one: its files would report to it.
      env: { ...env, NODE_TEST_CONTEXT: undefined },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    this.#children.set(file, child)
    const alarm = setTimeout(() => {
      this.#ends.set(file, `did not end within ${limits.fileMs / 1_000} s`)
      endGroup(child)
    }, limits.fileMs)
    const { output, code, signal } = await ended(child)
    clearTimeout(alarm)
    this.#children.delete(file)
    this.#seconds.push({ name, seconds: (performance.now() - begun) / 1_000 })

    const [line = '', passed = 0, failed = 0, skipped = 0] = summary.exec(output) ?? []
    print(output.slice(0, output.length - line.length))
    this.#count(Number(passed), Number(failed), Number(skipped))
    const reason = this.#ends.get(file) ?? (line === '' ? `ended by itself (${signal ?? code})` : undefined)
    if (reason !== undefined || (code !== 0 && Number(failed) === 0)) {
      this.#count(0, 1, 0)
      print(`FAILED ${name}: ${reason ?? `ended with ${signal ?? code}, though no test failed`}\n`)
    }
  }

  #count(passed: number, failed: number, skipped: number): void {
    const { passed: p, failed: f, skipped: s } = this.#counts
    this.#counts = { passed: p + passed, failed: f + failed, skipped: s + skipped }
  }
}

const seconds = (begun: number): string => ((performance.now() - begun) / 1_000).toFixed(0)

async function ended(
  child: ChildProcess,
): Promise<{ readonly output: string; readonly code: number | null; readonly signal: string | null }> {
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const end = await new Promise<{ readonly code: number | null; readonly signal: string | null }>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }))
    child.once('error', () => resolve({ code: 1, signal: null }))
  })
  // What it left behind would go on, and keep its output open.
  endGroup(child)
  await Promise.race([closed, wait(drainMs, undefined, { ref: false })])
  child.stdout?.destroy()
  child.stderr?.destroy()
  return { output, ...end }
}

function endGroup({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid === undefined) return
  // Servers that tests start have groups of their own.
  for (const each of [...descendants(pid), pid]) {
    const isGone = each === pid && (exitCode !== null || signalCode !== null)
    for (const target of isGone ? [-each] : [-each, each]) {
      try {
        process.kill(target, 'SIGKILL')
      } catch {
        // Nothing of it is left, or it leads no group.
      }
    }
  }
}

/** What it started and that goes on, as far as the system tells. */
function descendants(pid: number): readonly number[] {
  const tasks = globSync(`/proc/${pid}/task/*/children`)
  const children = tasks.flatMap((each) => {
    try {
      return readFileSync(each, 'utf8').trim().split(' ').filter(Boolean).map(Number)
    } catch {
      return []
    }
  })
  return children.flatMap((each) => [each, ...descendants(each)])
}
