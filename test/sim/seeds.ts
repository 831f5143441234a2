import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Every seed that ever failed, with its number of operations: they run before all others, also in `npm test`. */
const file = join(import.meta.dirname, 'seeds.txt')

export interface Seed {
  readonly seed: string
  readonly operations: number
}

export function knownSeeds(): readonly Seed[] {
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.flatMap((line) => {
    const [seed, operations] = line.replace(/#.*/, '').trim().split(/\s+/)
    return seed === undefined || seed === '' ? [] : [{ seed, operations: Number(operations) }]
  })
}

export function remember({ seed, operations }: Seed): void {
  if (knownSeeds().some((each) => each.seed === seed && each.operations === operations)) return
  appendFileSync(file, `${seed} ${operations}\n`)
}
