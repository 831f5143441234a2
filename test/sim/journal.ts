import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import type { Seed } from './seeds.ts'
import type { Told } from './worker.ts'

/** What became of seeds, one a line: a run of many is done in parts, each of which goes on where the one before it ended. */
export class Journal {
  readonly #path: string
  #isBegun = false

  constructor(path: string) {
    this.#path = path
  }

  /** Of all parts so far. A line that was cut off, as by the death of the process, is of a seed that is run again. */
  read(): readonly Told[] {
    if (!existsSync(this.#path)) return []
    const lines = readFileSync(this.#path, 'utf8').split('\n').slice(0, -1)
    return lines.flatMap((line) => {
      try {
        return [JSON.parse(line) as Told]
      } catch {
        return []
      }
    })
  }

  add(told: Told): void {
    // Behind what was cut off, if the part before ended so.
    const begin = this.#isBegun || !existsSync(this.#path) ? '' : '\n'
    this.#isBegun = true
    appendFileSync(this.#path, `${begin}${JSON.stringify(told)}\n`)
  }
}

export const isSame = (one: Seed, other: Seed): boolean =>
  one.seed === other.seed && one.operations === other.operations
