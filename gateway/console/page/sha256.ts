/**
 * SHA-256 and HMAC for signatures. Browsers give `crypto.subtle` to pages of secure origins only, and a store within one's own network
 * is often reached by plain HTTP: so it is computed here, everywhere in the same way. https://www.rfc-editor.org/rfc/rfc6234
 */

const words = 64
const blockBytes = 64

function primes(count: number): readonly number[] {
  const found: number[] = []
  for (let each = 2; found.length < count; each++) if (found.every((prime) => each % prime !== 0)) found.push(each)
  return found
}

/** The first 32 bits of the fractional part. */
const fraction = (value: number): number => ((value - Math.floor(value)) * 2 ** 32) | 0

const start = primes(8).map((prime) => fraction(Math.sqrt(prime)))
const rounds = primes(words).map((prime) => fraction(Math.cbrt(prime)))

const turned = (value: number, bits: number): number => (value >>> bits) | (value << (32 - bits))

function padded(bytes: Uint8Array): DataView {
  const length = Math.ceil((bytes.length + 9) / blockBytes) * blockBytes
  const all = new Uint8Array(length)
  all.set(bytes)
  all[bytes.length] = 0x80
  const view = new DataView(all.buffer)
  view.setUint32(length - 8, Math.floor(bytes.length / 2 ** 29))
  view.setUint32(length - 4, (bytes.length << 3) >>> 0)
  return view
}

function expanded(view: DataView, at: number): Int32Array {
  const w = new Int32Array(words)
  for (let i = 0; i < 16; i++) w[i] = view.getInt32(at + i * 4)
  for (let i = 16; i < words; i++) {
    const [x, y] = [w[i - 15] ?? 0, w[i - 2] ?? 0]
    const low = turned(x, 7) ^ turned(x, 18) ^ (x >>> 3)
    const high = turned(y, 17) ^ turned(y, 19) ^ (y >>> 10)
    w[i] = (w[i - 16] ?? 0) + low + (w[i - 7] ?? 0) + high
  }
  return w
}

function compressed(state: Int32Array, w: Int32Array): void {
  let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = state
  for (let i = 0; i < words; i++) {
    const one =
      h + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + ((e & f) ^ (~e & g)) + (rounds[i] ?? 0) + (w[i] ?? 0)
    const two = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))
    ;[h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0]
  }
  for (const [i, value] of [a, b, c, d, e, f, g, h].entries()) state[i] = (state[i] ?? 0) + value
}

export function sha256(bytes: Uint8Array): Uint8Array {
  const view = padded(bytes)
  const state = Int32Array.from(start)
  for (let at = 0; at < view.byteLength; at += blockBytes) compressed(state, expanded(view, at))
  const result = new DataView(new ArrayBuffer(32))
  for (const [i, value] of state.entries()) result.setInt32(i * 4, value)
  return new Uint8Array(result.buffer)
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array {
  const all = new Uint8Array(one.length + other.length)
  all.set(one)
  all.set(other, one.length)
  return all
}

/** https://www.rfc-editor.org/rfc/rfc2104 */
export function hmac(key: Uint8Array, bytes: Uint8Array): Uint8Array {
  const block = new Uint8Array(blockBytes)
  block.set(key.length > blockBytes ? sha256(key) : key)
  const inner = joined(
    block.map((byte) => byte ^ 0x36),
    bytes,
  )
  return sha256(
    joined(
      block.map((byte) => byte ^ 0x5c),
      sha256(inner),
    ),
  )
}

export const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
