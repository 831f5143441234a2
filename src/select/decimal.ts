import { Fault } from '#src/errors.ts'

/** AWS: a base-10 number of at most 38 digits. */
const digitsMax = 38
/** Beyond these exponents a number is kept as a float, so that no short text makes a long number. */
const scaleMax = 64

/** An exact number: `units` × 10^-`scale`. */
export class Decimal {
  readonly units: bigint
  readonly scale: number

  constructor(units: bigint, scale: number) {
    this.units = units
    this.scale = scale
  }

  toNumber(): number {
    return Number(this.toText())
  }

  toText(): string {
    if (this.scale <= 0) return String(this.units * 10n ** BigInt(-this.scale))
    const isNegative = this.units < 0n
    const digits = String(isNegative ? -this.units : this.units).padStart(this.scale + 1, '0')
    const at = digits.length - this.scale
    return `${isNegative ? '-' : ''}${digits.slice(0, at)}.${digits.slice(at)}`
  }
}

const written = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,6}))?$/

/** Longer texts are no numbers to anybody. */
const lengthMax = 400

/** Reads a decimal number; a float where it has more digits than decimals keep; undefined where it is no number. */
export function parseDecimal(text: string): Decimal | number | undefined {
  if (text.length > lengthMax) return undefined
  const parts = written.exec(text)
  if (parts === null) return undefined
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = parts
  if (whole === '' && fraction === '') return undefined
  const scale = fraction.length - Number(exponent)
  if (whole.length + fraction.length > digitsMax || Math.abs(scale) > scaleMax) return Number(text)
  const units = BigInt(`${whole}${fraction}`)
  return new Decimal(sign === '-' ? -units : units, scale)
}

const limit = 10n ** BigInt(digitsMax)

/** More digits than are kept become a float, as far as its 53 bits go. */
function bounded(units: bigint, scale: number): Decimal | number {
  const decimal = new Decimal(units, scale)
  return units < limit && units > -limit && Math.abs(scale) <= scaleMax ? decimal : decimal.toNumber()
}

export const fromInteger = (value: bigint): Decimal => new Decimal(value, 0)

/** The units of both at the scale of the finer one. */
function aligned(one: Decimal, other: Decimal): readonly [bigint, bigint, number] {
  const scale = Math.max(one.scale, other.scale)
  const raise = ({ units, scale: own }: Decimal): bigint => units * 10n ** BigInt(scale - own)
  return [raise(one), raise(other), scale]
}

export function compareDecimals(one: Decimal, other: Decimal): number {
  const [left, right] = aligned(one, other)
  return left < right ? -1 : left > right ? 1 : 0
}

/**
 * Sums, differences and products are exact; a quotient seldom could be, and is a float, as every intermediate result after it.
 */
export function calculate(operator: string, one: Decimal, other: Decimal): Decimal | number {
  if (operator === '*') return bounded(one.units * other.units, one.scale + other.scale)
  const [left, right, scale] = aligned(one, other)
  if (operator === '+') return bounded(left + right, scale)
  if (operator === '-') return bounded(left - right, scale)
  if (right === 0n) throw divisionByZero()
  return operator === '%' ? bounded(left % right, scale) : one.toNumber() / other.toNumber()
}

export const divisionByZero = (): Fault =>
  new Fault('EvaluatorInvalidArguments', { message: 'A number was divided by zero in the SQL expression.' })
