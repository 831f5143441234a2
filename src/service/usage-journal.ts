import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { Claim, clearDeadClaims, isAlive } from '#src/blobs/claim.ts'
import type { UsageBatch } from './usage-batches.ts'

const ending = '.json'

/**
 * What a process counted and has not added yet, in a file: it outlives the process (kill -9 too), but is not synced, so a power
 * cut may take it. Whether its process lives is asked of a claim: the numbers of processes come again, in a container at each start.
 */
export class UsageJournal {
  readonly #folder: string
  readonly #file: string
  readonly #claim: Claim

  private constructor(folder: string, claim: Claim) {
    this.#folder = folder
    this.#file = join(folder, `${claim.name}${ending}`)
    this.#claim = claim
  }

  /** `name`: unlike any other process's, ever; 32 bytes at most. */
  static async open(folder: string, name: string): Promise<UsageJournal> {
    mkdirSync(folder, { recursive: true })
    return new UsageJournal(folder, await Claim.take(folder, name))
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
  async left(): Promise<readonly { readonly batches: readonly UsageBatch[]; forget(): void }[]> {
    const found: { readonly batches: readonly UsageBatch[]; forget(): void }[] = []
    for (const file of readdirSync(this.#folder)) {
      const path = join(this.#folder, file)
      if (!file.endsWith(ending) || path === this.#file) continue
      if (await isAlive(this.#folder, basename(file, ending))) continue
      found.push({ batches: read(path), forget: () => rmSync(path, { force: true }) })
    }
    await clearDeadClaims(this.#folder)
    return found
  }

  /** From now on what is in the file is left behind. */
  close(): void {
    this.#claim.release()
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
