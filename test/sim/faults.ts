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
] as const
export type FaultClass = (typeof faultClasses)[number]

type Rates = Readonly<Record<FaultClass, number>>

/** How often, for each chance that there is. Of `cut`, `crash` and `skew`: how often the nemesis chooses them. */
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
    if (!this.isOn || !this.#chance.happens(rates[fault] * this.#factor)) return false
    this.fired(fault)
    return true
  }

  fired(fault: FaultClass): void {
    this.counts.set(fault, (this.counts.get(fault) ?? 0) + 1)
  }
}
