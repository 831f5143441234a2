import type { Chance } from './chance.ts'
import type { Faults } from './faults.ts'
import type { Network } from './network.ts'
import type { Region } from './region.ts'
import type { Timeline } from './timeline.ts'

export interface NemesisParts {
  readonly timeline: Timeline
  readonly chance: Chance
  readonly network: Network
  readonly faults: Faults
  readonly regions: readonly Region[]
}

/** Cuts links, kills processes and turns clocks, until it is told to stop; then it mends everything. */
export class Nemesis {
  readonly #parts: NemesisParts
  readonly #mending = new Set<() => void>()
  #isOver = false

  constructor(parts: NemesisParts) {
    this.#parts = parts
  }

  async run(): Promise<void> {
    const { timeline, chance } = this.#parts
    const kind = chance.pick(['calm', 'cuts', 'crashes', 'skew', 'all', 'all'] as const)
    if (kind === 'calm') return
    for (;;) {
      await timeline.sleep(chance.between(150, 1_500))
      if (this.#isOver) return
      const deed = kind === 'all' ? chance.pick(['cuts', 'crashes', 'skew'] as const) : kind
      if (deed === 'cuts') this.#cut()
      else if (deed === 'crashes') this.#crash()
      else this.#skew()
    }
  }

  stop(): void {
    this.#isOver = true
    for (const mend of this.#mending) mend()
    this.#mending.clear()
  }

  /** Undoes it after some time, or at the end. */
  #for(milliseconds: number, undo: () => void): void {
    const mend = (): void => {
      this.#mending.delete(mend)
      undo()
    }
    this.#mending.add(mend)
    this.#parts.timeline.after(milliseconds, () => {
      if (this.#mending.has(mend)) mend()
    })
  }

  /** One link one way, one both ways, or a region from all others. */
  #cut(): void {
    const { chance, network, regions } = this.#parts
    const one = chance.pick(regions).member.cell
    const others = regions.map(({ member }) => member.cell).filter((each) => each !== one)
    const cut = chance.happens(0.4) ? others : [chance.pick(others)]
    const isBoth = chance.happens(0.7)
    for (const other of cut) {
      network.cut(one, other)
      if (isBoth) network.cut(other, one)
    }
    this.#for(chance.between(500, 12_000), () => {
      for (const other of cut) {
        network.mend(one, other)
        network.mend(other, one)
      }
    })
  }

  #crash(): void {
    const { chance, faults, regions } = this.#parts
    const region = chance.pick(regions)
    if (!region.isUp) return
    faults.fired('crash')
    region.crash()
    this.#for(chance.between(50, 5_000), () => region.start())
  }

  /** By seconds, or by an hour, ahead or behind. */
  #skew(): void {
    const { chance, faults, regions } = this.#parts
    const { clock } = chance.pick(regions)
    faults.fired('skew')
    clock.skew = chance.pick([-3_600_000, -2_000, -50, 50, 2_000, 3_600_000])
    this.#for(chance.between(500, 10_000), () => {
      clock.skew = 0
    })
  }
}
