import assert from 'node:assert/strict'

/** Rows that are read seldom, or whose shape grows: a byte of format, then JSON. */
export function encodeJson(format: number, row: unknown): Uint8Array {
  const text = JSON.stringify(row)
  const bytes = Buffer.allocUnsafe(1 + Buffer.byteLength(text))
  bytes[0] = format
  bytes.write(text, 1, 'utf8')
  return bytes
}

/** The store has verified the bytes' checksum, so what `encodeJson` wrote needs no second check of its shape. */
export function decodeJson<Row>(format: number, bytes: Uint8Array): Row {
  assert.equal(bytes[0], format, 'a row in a known format')
  return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset + 1, bytes.byteLength - 1).toString('utf8')) as Row
}
