import { Fault } from '#src/errors.ts'
import { calculate, compareDecimals, Decimal, divisionByZero, fromInteger, parseDecimal } from './decimal.ts'
import { Timestamp } from './timestamp.ts'
import { isList, isMap, type Value } from './value.ts'

export type Numeric = bigint | number | Decimal

export const isNumeric = (value: Value): value is Numeric =>
  typeof value === 'bigint' || typeof value === 'number' || value instanceof Decimal

const integer = /^[+-]?\d{1,18}$/

/** Texts of CSV stand for numbers where a number is wanted. */
export function numberOf(value: Value): Numeric | undefined {
  if (isNumeric(value)) return value
  if (typeof value !== 'string') return undefined
  const text = value.trim()
  return integer.test(text) ? BigInt(text) : parseDecimal(text)
}

export const toFloat = (value: Numeric): number => (value instanceof Decimal ? value.toNumber() : Number(value))

const toDecimal = (value: bigint | Decimal): Decimal => (value instanceof Decimal ? value : fromInteger(value))

export const integerMax = 2n ** 63n - 1n
export const integerMin = -(2n ** 63n)

export function boundedInteger(value: bigint): bigint {
  if (value > integerMax || value < integerMin) throw new Fault('IntegerOverflow')
  return value
}

function integerArithmetic(operator: string, left: bigint, right: bigint): bigint {
  if (operator === '+') return boundedInteger(left + right)
  if (operator === '-') return boundedInteger(left - right)
  if (operator === '*') return boundedInteger(left * right)
  if (right === 0n) throw divisionByZero()
  return boundedInteger(operator === '/' ? left / right : left % right)
}

function floatArithmetic(operator: string, left: number, right: number): number {
  if (operator === '+') return left + right
  if (operator === '-') return left - right
  if (operator === '*') return left * right
  if (right === 0) throw divisionByZero()
  return operator === '/' ? left / right : left % right
}

export function arithmetic(operator: string, left: Value, right: Value): Value {
  if (typeof left === 'bigint' && typeof right === 'bigint') return integerArithmetic(operator, left, right)
  if (left === null || left === undefined || right === null || right === undefined) return null
  const [one, other] = [numberOf(left), numberOf(right)]
  if (one === undefined || other === undefined) throw new Fault('InvalidDataType')
  if (typeof one === 'bigint' && typeof other === 'bigint') return integerArithmetic(operator, one, other)
  if (typeof one === 'number' || typeof other === 'number') {
    return floatArithmetic(operator, toFloat(one), toFloat(other))
  }
  return calculate(operator, toDecimal(one), toDecimal(other))
}

function order<Ordered extends string | number | bigint | boolean>(one: Ordered, other: Ordered): number {
  return one < other ? -1 : one > other ? 1 : 0
}

function compareNumbers(one: Numeric, other: Numeric): number {
  if (typeof one === 'bigint' && typeof other === 'bigint') return order(one, other)
  if (typeof one === 'number' || typeof other === 'number') return order(toFloat(one), toFloat(other))
  return compareDecimals(toDecimal(one), toDecimal(other))
}

/** Undefined: they have no order, as a number and a truth have none. Neither is null or missing. */
export function compare(one: Value, other: Value): number | undefined {
  if (typeof one === 'string' && typeof other === 'string') return order(one, other)
  if (isNumeric(one) || isNumeric(other)) {
    const [left, right] = [numberOf(one), numberOf(other)]
    return left === undefined || right === undefined ? undefined : compareNumbers(left, right)
  }
  if (typeof one === 'boolean' && typeof other === 'boolean') return order(one, other)
  if (one instanceof Timestamp && other instanceof Timestamp) return order(one.time, other.time)
  return undefined
}

const isNothing = (value: Value): boolean => value === null || value === undefined

/** Null where either is null or missing; values of different kinds are different. */
export function isEqual(one: Value, other: Value): boolean | null {
  if (isNothing(one) || isNothing(other)) return null
  if (isList(one) && isList(other)) {
    return one.length === other.length && one.every((each, index) => isSame(each, other[index]))
  }
  if (isMap(one) && isMap(other)) {
    return one.size === other.size && [...one].every(([name, each]) => isSame(each, other.get(name)))
  }
  return compare(one, other) === 0
}

const isSame = (one: Value, other: Value): boolean =>
  isNothing(one) || isNothing(other) ? one === other : isEqual(one, other) === true

export function compareBy(operator: string, one: Value, other: Value): boolean | null {
  if (operator === '=') return isEqual(one, other)
  if (operator === '!=') {
    const equal = isEqual(one, other)
    return equal === null ? null : !equal
  }
  if (isNothing(one) || isNothing(other)) return null
  const found = compare(one, other)
  if (found === undefined) return null
  if (operator === '<') return found < 0
  if (operator === '<=') return found <= 0
  return operator === '>' ? found > 0 : found >= 0
}

/** What stands for true, false or neither. */
export function truth(value: Value): boolean | null {
  if (typeof value === 'boolean') return value
  if (isNothing(value)) return null
  if (typeof value === 'string') {
    const lower = value.toLowerCase()
    if (lower === 'true' || lower === 'false') return lower === 'true'
  }
  throw new Fault('InvalidDataType')
}
