import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Fault } from '#src/errors.ts'
import { bunzip } from './bunzip.ts'
import { bzipLines, bzipRuns } from './samples.ts'

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function unzip(bytes: Uint8Array, size = 1_000): Promise<Buffer> {
  const found: Uint8Array[] = []
  for await (const piece of bunzip(pieces(bytes, size))) found.push(piece)
  return Buffer.concat(found)
}

const lines = Buffer.from(Array.from({ length: 300 }, (_, index) => `${index},${'ab'.repeat(index % 7)}\n`).join(''))
const allBytes = Buffer.from(Array.from({ length: 1_024 }, (_, index) => index & 255))
const runs = Buffer.concat([
  Buffer.from(`${'z'.repeat(1_000_000)}\n`),
  allBytes,
  Buffer.from(`aaaabbbbb${'c'.repeat(259)}`),
])

test('Z1: what bzip2 wrote is read, whatever the pieces, also streams one after the other', async () => {
  for (const size of [1, 7, 100_000]) {
    assert.ok((await unzip(bzipLines, size)).equals(lines))
    assert.ok((await unzip(bzipRuns, size)).equals(runs))
  }
  assert.ok((await unzip(Buffer.concat([bzipLines, bzipRuns, bzipLines]))).equals(Buffer.concat([lines, runs, lines])))
})

test('Z1: a changed bit is an error, never other bytes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(bzipLines.length * 8 - 1), async (bit) => {
      const changed = Buffer.from(bzipLines)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      const found = await unzip(changed).catch((error: unknown) => error)
      // Nothing depends on some bits: how large the table may be, and those that fill the last byte.
      if (found instanceof Buffer) assert.ok(found.equals(lines), `bit ${bit}`)
      else assert.ok(found instanceof Fault, String(found))
    }),
    { numRuns: 300 },
  )
})

test('Z1: the CRC over all blocks is checked too', async () => {
  // It stands at the very end, before at most seven bits that fill the last byte.
  for (let bit = bzipLines.length * 8 - 32; bit < bzipLines.length * 8 - 7; bit++) {
    const changed = Buffer.from(bzipLines)
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7))
    await assert.rejects(unzip(changed), { code: 'InvalidCompressionFormat' })
  }
})

test('what is cut short is truncated, and what is no bzip2 is not in a supported format', async () => {
  await assert.rejects(unzip(bzipLines.subarray(0, 400)), { code: 'TruncatedInput' })
  await assert.rejects(unzip(lines), { code: 'InvalidCompressionFormat' })
  await assert.rejects(unzip(Buffer.alloc(0)), { code: 'TruncatedInput' })
})
