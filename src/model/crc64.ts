/**
 * CRC-64/NVME: polynomial 0xAD93D23594C93659, reflected in and out, all ones before and after. Node has no native one, and
 * BigInt would be a hundred times slower, so a value is two 32-bit halves and eight bytes are taken at a time.
 */
export interface Crc64 {
  /** Signed 32-bit integers; the register as it stands, already complemented as the finished value is. */
  readonly high: number
  readonly low: number
}

export const emptyCrc64: Crc64 = { high: 0, low: 0 }

/** The polynomial, bits reversed. */
export const crc64Polynomial: Crc64 = { high: 0x9a6c9329 | 0, low: 0xac4bc9b5 | 0 }

const slices = 8

/** `tables[slice * 256 + byte]`: what the byte contributes once `slice` more zero bytes have gone by. */
function makeTables(): { readonly highs: Int32Array; readonly lows: Int32Array } {
  const highs = new Int32Array(slices * 256)
  const lows = new Int32Array(slices * 256)
  for (let byte = 0; byte < 256; byte++) {
    let high = 0
    let low = byte
    for (let bit = 0; bit < 8; bit++) {
      const isOdd = (low & 1) === 1
      low = (low >>> 1) | (high << 31)
      high >>>= 1
      if (isOdd) {
        high ^= crc64Polynomial.high
        low ^= crc64Polynomial.low
      }
    }
    highs[byte] = high
    lows[byte] = low
  }
  for (let at = 256; at < slices * 256; at++) {
    const high = highs[at - 256] ?? 0
    const low = lows[at - 256] ?? 0
    highs[at] = (high >>> 8) ^ (highs[low & 255] ?? 0)
    lows[at] = ((low >>> 8) | (high << 24)) ^ (lows[low & 255] ?? 0)
  }
  return { highs, lows }
}

const { highs, lows } = makeTables()

/** The value over what `before` covers, followed by `bytes`. */
export function crc64(bytes: Uint8Array, before: Crc64 = emptyCrc64): Crc64 {
  let high = ~before.high
  let low = ~before.low
  let at = 0
  // Casts, not fallbacks: the indexes are masked to the tables' size, and a branch here costs a third of the speed.
  for (const end = bytes.length - 7; at < end; at += 8) {
    const a = 1792 | ((low ^ (bytes[at] as number)) & 255)
    const b = 1536 | (((low >>> 8) ^ (bytes[at + 1] as number)) & 255)
    const c = 1280 | (((low >>> 16) ^ (bytes[at + 2] as number)) & 255)
    const d = 1024 | ((low >>> 24) ^ (bytes[at + 3] as number))
    const e = 768 | ((high ^ (bytes[at + 4] as number)) & 255)
    const f = 512 | (((high >>> 8) ^ (bytes[at + 5] as number)) & 255)
    const g = 256 | (((high >>> 16) ^ (bytes[at + 6] as number)) & 255)
    const h = (high >>> 24) ^ (bytes[at + 7] as number)
    high =
      (highs[a] as number) ^
      (highs[b] as number) ^
      (highs[c] as number) ^
      (highs[d] as number) ^
      (highs[e] as number) ^
      (highs[f] as number) ^
      (highs[g] as number) ^
      (highs[h] as number)
    low =
      (lows[a] as number) ^
      (lows[b] as number) ^
      (lows[c] as number) ^
      (lows[d] as number) ^
      (lows[e] as number) ^
      (lows[f] as number) ^
      (lows[g] as number) ^
      (lows[h] as number)
  }
  for (; at < bytes.length; at++) {
    const index = (low ^ (bytes[at] as number)) & 255
    low = ((low >>> 8) | (high << 24)) ^ (lows[index] as number)
    high = (high >>> 8) ^ (highs[index] as number)
  }
  return { high: ~high, low: ~low }
}
