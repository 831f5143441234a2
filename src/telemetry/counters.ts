/** Numbers that only grow, by name. */
export class Counters {
  readonly #values = new Map<string, number>()

  add(name: string, amount = 1): void {
    this.#values.set(name, (this.#values.get(name) ?? 0) + amount)
  }

  value(name: string): number {
    return this.#values.get(name) ?? 0
  }

  all(): ReadonlyMap<string, number> {
    return this.#values
  }
}
