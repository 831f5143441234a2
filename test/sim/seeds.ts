import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Every seed that ever failed, with its number of operations: they run before all others, also in `npm test`. */
const file = join(import.meta.dirname, 'seeds.txt')

export interface Seed {
  readonly seed: string
  readonly operations: number
  /** Whether the root may change in it, and regions may be lost. */
  readonly fates?: true
}

export function knownSeeds(): readonly Seed[] {
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.flatMap((line) => {
    const [seed, operations, fates] = line.replace(/#.*/, '').trim().split(/\s+/)
    return seed === undefined || seed === ''
      ? []
      : [{ seed, operations: Number(operations), ...(fates === 'fates' && { fates: true as const }) }]
  })
}

export function remember({ seed, operations, fates }: Seed): void {
  if (knownSeeds().some((each) => each.seed === seed && each.operations === operations && each.fates === fates)) return
  appendFileSync(file, `${seed} ${operations}${fates === true ? ' fates' : ''}\n`)
}
