import { crc64Polynomial } from './crc64.ts'

/**
 * The CRC of a concatenation, from the CRCs and lengths of its pieces, without their bytes.
 *
 * A CRC is the remainder of a polynomial over GF(2); appending n bytes multiplies it by x^(8n). Values are kept bit-reversed,
 * as these CRCs are: the highest bit is the coefficient of x^0. A 32-bit value stands in `high`, with `low` unused.
 */
interface Polynomial {
  readonly high: number
  readonly low: number
}

interface Field {
  readonly width: 32 | 64
  readonly modulus: Polynomial
  /** x^(8 · 2^k), for each k. */
  readonly powers: readonly Polynomial[]
}

/** `value` times x. */
function timesX({ high, low }: Polynomial, width: 32 | 64, modulus: Polynomial): Polynomial {
  const carry = (width === 32 ? high : low) & 1
  const shifted = { high: high >>> 1, low: width === 32 ? 0 : (low >>> 1) | (high << 31) }
  return carry === 0 ? shifted : { high: shifted.high ^ modulus.high, low: shifted.low ^ modulus.low }
}

function multiply(a: Polynomial, b: Polynomial, width: 32 | 64, modulus: Polynomial): Polynomial {
  let high = 0
  let low = 0
  let shifted = b
  for (let degree = 0; degree < width; degree++) {
    const half = degree < 32 ? a.high : a.low
    if (((half >>> (31 - (degree & 31))) & 1) === 1) {
      high ^= shifted.high
      low ^= shifted.low
    }
    shifted = timesX(shifted, width, modulus)
  }
  return { high, low }
}

/** Enough for any length below 2^53. */
const exponentBits = 53

function makeField(width: 32 | 64, modulus: Polynomial): Field {
  const one: Polynomial = { high: 1 << 31, low: 0 }
  let power = one
  for (let count = 0; count < 8; count++) power = timesX(power, width, modulus)
  const powers = [power]
  for (let bit = 1; bit < exponentBits; bit++) {
    power = multiply(power, power, width, modulus)
    powers.push(power)
  }
  return { width, modulus, powers }
}

const fields = {
  CRC32: makeField(32, { high: 0xedb88320 | 0, low: 0 }),
  CRC32C: makeField(32, { high: 0x82f63b78 | 0, low: 0 }),
  CRC64NVME: makeField(64, crc64Polynomial),
}

export type CrcAlgorithm = keyof typeof fields

export const isCrcAlgorithm = (algorithm: string): algorithm is CrcAlgorithm => Object.hasOwn(fields, algorithm)

/** Of `before` followed by `after`, which is `afterSize` bytes long. Halves as signed 32-bit integers. */
export function combineCrc(
  algorithm: CrcAlgorithm,
  before: Polynomial,
  after: Polynomial,
  afterSize: number,
): Polynomial {
  const { width, modulus, powers } = fields[algorithm]
  let moved = before
  let rest = afterSize
  for (let bit = 0; rest > 0; bit++) {
    const power = powers[bit]
    if (rest % 2 === 1 && power !== undefined) moved = multiply(moved, power, width, modulus)
    rest = Math.floor(rest / 2)
  }
  return { high: moved.high ^ after.high, low: moved.low ^ after.low }
}
