import { type FaultClass, faultClasses, rareFaults } from './faults.ts'
import type { Told } from './worker.ts'

/** What C29 asks of a run that is worth something. */
const operationsLeast = 2_000
const acknowledgedLeast = 0.6
const acknowledgedOfSeed = 0.5
/** With fewer seeds chance alone may leave a class of faults out. */
const seedsForFaults = 20
const seedsForRareFaults = 300
const refusing: ReadonlySet<string> = new Set<FaultClass>(['skew', 'region lost', 'root lost', 'root promoted'])

/** Sums of all seeds of a run, and whether they were enough to show anything. */
export class Summary {
  readonly failed: string[] = []
  readonly #faults = new Map<string, number>()
  readonly #weak: string[] = []
  #seeds = 0
  #fated = 0
  #acknowledged = 0
  #refused = 0
  #unknown = 0
  #conflicts = 0
  #milliseconds = 0
  #cpu = 0
  #fewest = Number.POSITIVE_INFINITY

  get seeds(): number {
    return this.#seeds
  }

  add({ ran, report, cpu }: Told, isKnown = false): void {
    this.#seeds++
    if (ran.fates === true) this.#fated++
    this.#cpu += cpu
    if (report === undefined) {
      this.failed.push(ran.seed)
      return
    }
    const { acknowledged, refused, unknown } = report
    const all = acknowledged + refused + unknown
    this.#acknowledged += acknowledged
    this.#refused += refused
    this.#unknown += unknown
    this.#conflicts += report.conflicts
    this.#milliseconds += report.lasted
    if (!isKnown) this.#fewest = Math.min(this.#fewest, all)
    for (const [fault, times] of report.faults) this.#faults.set(fault, (this.#faults.get(fault) ?? 0) + times)
    const mayRefuse = report.faults.some(([fault]) => refusing.has(fault))
    // Where clocks are turned, or too few regions are left, refusing writes is what is asked for (C8, C20).
    if (!mayRefuse && acknowledged < acknowledgedOfSeed * all)
      this.#weak.push(`${ran.seed} (${acknowledged} of ${all})`)
  }

  get #operations(): number {
    return this.#acknowledged + this.#refused + this.#unknown
  }

  lines(): readonly string[] {
    const share = ((100 * this.#acknowledged) / Math.max(1, this.#operations)).toFixed(1)
    const hours = (this.#milliseconds / 3_600_000).toFixed(1)
    const each = Math.round(this.#cpu / Math.max(1, this.#seeds))
    return [
      `${this.#seeds} seeds, ${this.failed.length} failed; ${each} ms of processor time a seed, ${hours} simulated hours`,
      `${this.#operations} operations: ${this.#acknowledged} acknowledged (${share} %), ${this.#refused} refused, ${this.#unknown} unknown; ${this.#conflicts} conflicts kept`,
      `faults: ${faultClasses.map((fault) => `${fault} ${this.#faults.get(fault) ?? 0}`).join(', ')}`,
    ]
  }

  /** What this run does not show, though it should. */
  shortcomings(): readonly string[] {
    const found: string[] = []
    if (this.#fewest < operationsLeast) found.push(`a seed of ${this.#fewest} operations: at least ${operationsLeast}`)
    if (this.#acknowledged < acknowledgedLeast * this.#operations) found.push('too few operations were acknowledged')
    for (const seed of this.#weak) found.push(`too few operations of seed ${seed} were acknowledged`)
    for (const fault of faultClasses) {
      const isEnough = rareFaults.has(fault) ? this.#fated >= seedsForRareFaults : this.#seeds >= seedsForFaults
      if (isEnough && !this.#faults.has(fault)) found.push(`the fault '${fault}' never happened`)
    }
    return found
  }
}
