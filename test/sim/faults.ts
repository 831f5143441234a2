import type { Chance } from './chance.ts'

/** Everything that can go wrong in a simulation. */
export const faultClasses = [
  'loss',
  'delay',
  'duplicate',
  'cut',
  'crash',
  'skew',
  'conflict',
  'unknown committed',
  'unknown lost',
  'failed read',
  'corrupt chunk',
  'missing chunk',
  'rebirth',
  'late region',
  'leaving region',
  'bucket moved',
  'region lost',
  'root lost',
  'region replaced',
  'bucket lost',
  'root promoted',
] as const
export type FaultClass = (typeof faultClasses)[number]

/** Those that only some seeds have. */
export const rareFaults: ReadonlySet<FaultClass> = new Set([
  'region lost',
  'root lost',
  'region replaced',
  'bucket lost',
  'root promoted',
])

type Rates = Readonly<Record<FaultClass, number>>

/** How often, for each chance that there is. At 0: whoever does it counts it. */
const rates: Rates = {
  loss: 0.03,
  delay: 0.03,
  duplicate: 0.03,
  cut: 0,
  crash: 0,
  skew: 0,
  conflict: 0.02,
  'unknown committed': 0.003,
  'unknown lost': 0.003,
  'failed read': 0.01,
  'corrupt chunk': 0.15,
  'missing chunk': 0.1,
  rebirth: 0,
  'late region': 0,
  'leaving region': 0,
  'bucket moved': 0,
  'region lost': 0,
  'root lost': 0,
  'region replaced': 0,
  'bucket lost': 0,
  'root promoted': 0,
}

/** What goes wrong, from the seed; and how often it did. Off: nothing does. */
export class Faults {
  readonly counts = new Map<FaultClass, number>()
  isOn = true
  readonly #chance: Chance
  readonly #factor: number

  /** Some seeds are calm and some are wild: rare things happen in the calm ones, thorough ones in the wild. */
  constructor(chance: Chance) {
    this.#chance = chance
    this.#factor = chance.pick([0, 0.3, 1, 1, 3])
  }

  happens(fault: FaultClass): boolean {
    if (!this.draws(fault)) return false
    this.fired(fault)
    return true
  }

  /** As `happens`, for a fault that may turn out not to be possible. */
  draws(fault: FaultClass): boolean {
    return this.isOn && this.#chance.happens(rates[fault] * this.#factor)
  }

  fired(fault: FaultClass): void {
    this.counts.set(fault, (this.counts.get(fault) ?? 0) + 1)
  }
}
