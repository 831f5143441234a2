import { Fault } from '#src/errors.ts'
import { arithmetic, compare, isNumeric, numberOf, toFloat } from './operators.ts'
import type { AggregateName } from './syntax.ts'
import type { Value } from './value.ts'

/** What an aggregate function has seen so far; nulls and what is missing do not count. */
export interface Aggregate {
  add(value: Value): void
  result(): Value
}

export function aggregateNamed(name: AggregateName): Aggregate {
  if (name === 'count') return new Count()
  return name === 'min' || name === 'max' ? new Extreme(name === 'min' ? -1 : 1) : new Total(name === 'avg')
}

class Count implements Aggregate {
  #count = 0n

  add(value: Value): void {
    if (value !== null && value !== undefined) this.#count++
  }

  result(): Value {
    return this.#count
  }
}

class Total implements Aggregate {
  readonly #isAverage: boolean
  #sum: Value = null
  #count = 0

  constructor(isAverage: boolean) {
    this.#isAverage = isAverage
  }

  add(value: Value): void {
    if (value === null || value === undefined) return
    const number = numberOf(value)
    if (number === undefined) throw new Fault('InvalidDataType')
    this.#sum = this.#count++ === 0 ? number : arithmetic('+', this.#sum, number)
  }

  result(): Value {
    if (!this.#isAverage || !isNumeric(this.#sum)) return this.#sum
    return toFloat(this.#sum) / this.#count
  }
}

/** Of numbers by their size, also of texts that are numbers. */
class Extreme implements Aggregate {
  readonly #sign: number
  #found: Value = null

  constructor(sign: number) {
    this.#sign = sign
  }

  add(value: Value): void {
    if (value === null || value === undefined) return
    const candidate = numberOf(value) ?? value
    const order = this.#found === null ? this.#sign : compare(candidate, this.#found)
    if (order === undefined) throw new Fault('InvalidDataType')
    if (order * this.#sign > 0) this.#found = candidate
  }

  result(): Value {
    return this.#found
  }
}
