import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { UsageBatch } from './usage-batches.ts'

/**
 * What a process counted and has not added yet, in a file: it outlives the process (kill -9 too), but is not synced, so a power
 * cut may take it.
 */
export class UsageJournal {
  readonly #folder: string
  readonly #file: string

  /** `name`: unlike any other process's, ever. */
  constructor(folder: string, name: string) {
    mkdirSync(folder, { recursive: true })
    this.#folder = folder
    this.#file = join(folder, `${process.pid}-${name}.json`)
  }

  write(batches: readonly UsageBatch[]): void {
    if (batches.length === 0) {
      rmSync(this.#file, { force: true })
      return
    }
    const text = JSON.stringify(batches, (_, value) => (typeof value === 'bigint' ? `${value}` : value))
    writeFileSync(`${this.#file}.new`, text)
    renameSync(`${this.#file}.new`, this.#file)
  }

  /** Those of processes that are no more. */
  left(): readonly { readonly batches: readonly UsageBatch[]; forget(): void }[] {
    const names = readdirSync(this.#folder).filter(
      (name) => name.endsWith('.json') && join(this.#folder, name) !== this.#file,
    )
    return names.flatMap((name) => {
      if (lives(Number.parseInt(name, 10))) return []
      const path = join(this.#folder, name)
      return { batches: read(path), forget: () => rmSync(path, { force: true }) }
    })
  }
}

/** Of another program that has the number now, it is looked at again once that one has ended. */
function lives(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

function read(path: string): readonly UsageBatch[] {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as readonly UsageBatch[]
  } catch (error) {
    // A power cut may leave a file without its bytes.
    if (error instanceof SyntaxError) return []
    throw error
  }
}
