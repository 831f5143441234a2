import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { ContentCipher, plainChunkBytes, sealedChunkBytes, sealedSize } from './content-cipher.ts'
import { ContentTampered } from './content-tampered.ts'
import { deriveKey, unwrapKey, wrapKey } from './key-wrap.ts'

const key = Buffer.alloc(32, 7)
const name = { id: '00112233445566778899aabbccddeeff', part: 0 }
const cipher = new ContentCipher(key, name)

/** Bytes of which no stretch repeats. */
function bytesOf(size: number): Buffer {
  const bytes = Buffer.alloc(size)
  for (let at = 0; at < size; at += 32) createHash('sha256').update(String(at)).digest().copy(bytes, at)
  return bytes
}

async function* sliced(bytes: Uint8Array, step: number): AsyncGenerator<Uint8Array> {
  // Memory that is used again, as a socket's may be: who keeps a slice keeps rubbish.
  const reused = Buffer.alloc(step)
  for (let at = 0; at < bytes.length; at += step) {
    const slice = bytes.subarray(at, at + step)
    reused.set(slice)
    yield reused.subarray(0, slice.length)
    reused.fill(0)
  }
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const chunk of stream) all.push(Buffer.from(chunk))
  return Buffer.concat(all)
}

const open = (sealed: Uint8Array, size: number, from = 0, to = size, by = cipher, step = 50_000) =>
  collect(by.open({ size, from, to }, (start, end) => sliced(sealed.subarray(start, end), step)))

const sizes = fc.oneof(
  fc.nat(200),
  fc
    .constantFrom(1, 2, 3)
    .chain((chunks) => fc.integer({ min: -2, max: 2 }).map((by) => chunks * plainChunkBytes + by)),
  fc.nat(3 * plainChunkBytes),
)
const steps = fc.constantFrom(1_000, 16_384, 65_536, plainChunkBytes, sealedChunkBytes, 300_000)

test('E1: any size and range opens as it was sealed, however the bytes are sliced', async () => {
  await fc.assert(
    fc.asyncProperty(sizes, steps, steps, fc.nat(), fc.nat(), async (size, step, readStep, one, other) => {
      const plain = bytesOf(size)
      const sealed = await collect(cipher.seal(sliced(plain, step)))
      assert.equal(sealed.length, sealedSize(size))
      const [from = 0, to = 0] = [one % (size + 1), other % (size + 1)].sort((a, b) => a - b)
      assert.ok(plain.equals(await open(sealed, size, 0, size, cipher, readStep)))
      assert.ok(plain.subarray(from, to).equals(await open(sealed, size, from, to, cipher, readStep)))
    }),
    { numRuns: 60 },
  )
})

const refused = (opening: Promise<unknown>) => assert.rejects(opening, ContentTampered)

test('E2: any changed bit is refused, and nothing of its chunk is given out', async () => {
  const size = 2 * plainChunkBytes + 100
  const plain = bytesOf(size)
  const sealed = await collect(cipher.seal(sliced(plain, 65_536)))
  await fc.assert(
    fc.asyncProperty(fc.nat(sealed.length - 1), fc.nat(7), async (at, bit) => {
      const changed = Buffer.from(sealed)
      changed[at] = (changed[at] ?? 0) ^ (1 << bit)
      const given: Uint8Array[] = []
      const reading = cipher.open({ size, from: 0, to: size }, (start, end) =>
        sliced(changed.subarray(start, end), sealedChunkBytes),
      )
      await refused(
        (async () => {
          for await (const chunk of reading) given.push(Buffer.from(chunk))
        })(),
      )
      const whole = Math.floor(at / sealedChunkBytes) * plainChunkBytes
      assert.ok(Buffer.concat(given).equals(plain.subarray(0, whole)))
    }),
    { numRuns: 60 },
  )
})

test('E2: chunks that are moved, repeated, missing, cut off or of another content are refused', async () => {
  const size = 3 * plainChunkBytes
  const sealed = await collect(cipher.seal(sliced(bytesOf(size), 65_536)))
  const chunk = (number: number) => sealed.subarray(number * sealedChunkBytes, (number + 1) * sealedChunkBytes)
  await refused(open(Buffer.concat([chunk(1), chunk(0), chunk(2)]), size))
  await refused(open(Buffer.concat([chunk(0), chunk(0), chunk(2)]), size))
  await refused(open(Buffer.concat([chunk(0), chunk(1)]), size))
  // Also where the record was made to fit.
  await refused(open(Buffer.concat([chunk(0), chunk(1)]), 2 * plainChunkBytes))
  await refused(open(Buffer.concat([sealed, chunk(2)]), 4 * plainChunkBytes))
  await refused(open(Buffer.alloc(0), 0))
  const others = [
    new ContentCipher(key, { ...name, part: 1 }),
    new ContentCipher(key, { id: 'ff'.repeat(16), part: 0 }),
  ]
  for (const other of [...others, new ContentCipher(Buffer.alloc(32, 8), name)])
    await refused(open(sealed, size, 0, size, other))
})

test('E2: an empty content is authenticated too', async () => {
  const sealed = await collect(cipher.seal(sliced(Buffer.alloc(0), 10)))
  assert.equal((await open(sealed, 0)).length, 0)
  sealed[0] = (sealed[0] ?? 0) ^ 1
  await refused(open(sealed, 0))
})

test('E3: equal bytes are never sealed to equal chunks, within a content or in two', async () => {
  const plain = Buffer.alloc(3 * plainChunkBytes)
  const seen = new Set<string>()
  for (const id of ['00'.repeat(16), '01'.repeat(16)]) {
    for (const part of [0, 1]) {
      const sealed = await collect(new ContentCipher(key, { id, part }).seal(sliced(plain, 65_536)))
      for (let at = 0; at < sealed.length; at += sealedChunkBytes) seen.add(sealed.toString('hex', at, at + 32))
    }
  }
  assert.equal(seen.size, 12)
})

test('K1: a wrapped key unwraps under its own key and context only, and not when a bit is changed', () => {
  const hex = fc.uint8Array({ minLength: 32, maxLength: 32 })
  const words = fc.uint8Array({ maxLength: 20 })
  fc.assert(
    fc.property(hex, hex, words, words, fc.nat(59), fc.nat(7), (wrapping, plain, context, other, at, bit) => {
      const wrapped = wrapKey(wrapping, plain, context, Buffer.alloc(12, 1))
      assert.deepEqual(Buffer.from(unwrapKey(wrapping, wrapped, context)), Buffer.from(plain))
      const changed = Buffer.from(wrapped)
      changed[at] = (changed[at] ?? 0) ^ (1 << bit)
      assert.throws(() => unwrapKey(wrapping, changed, context), ContentTampered)
      assert.throws(() => unwrapKey(deriveKey(wrapping, context, 'other'), wrapped, context), ContentTampered)
      if (!Buffer.from(context).equals(other)) assert.throws(() => unwrapKey(wrapping, wrapped, other), ContentTampered)
    }),
  )
})
