import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SigningKey } from '#gateway/auth/signature.ts'
import { Fault } from '#src/errors.ts'
import { chunked, example } from '../../test/signer.ts'
import { ChunkedDecoder, type ChunkedFraming } from './aws-chunked.ts'

const date = '20261122T120000Z'
const seed = '0'.repeat(64)
const signing = {
  key: new SigningKey(example.secret, '20261122', 'us-east-1', 's3'),
  date,
  scope: '20261122/us-east-1/s3/aws4_request',
  seed,
}

/** The decoded bytes and trailers, or the Fault's code. Also checks K3: nothing is kept that outgrows what came. */
function decode(framing: ChunkedFraming, parts: readonly Buffer[]): { bytes: Buffer; trailers: string } | string {
  const decoder = new ChunkedDecoder(framing)
  const out: Buffer[] = []
  try {
    for (const part of parts) decoder.write(part, (piece) => out.push(piece))
    decoder.end()
  } catch (error) {
    if (error instanceof Fault) return error.code
    throw error
  }
  return { bytes: Buffer.concat(out), trailers: [...decoder.trailers].join() }
}

function split(whole: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (whole.length + 1)))].sort((a, b) => a - b)
  return [0, ...places].map((from, index) => whole.subarray(from, places[index] ?? whole.length))
}

const mode = fc.constantFrom(
  { isSigned: true, hasTrailers: false },
  { isSigned: true, hasTrailers: true },
  { isSigned: false, hasTrailers: true },
)
const pieces = fc.array(
  fc.uint8Array({ minLength: 1, maxLength: 300 }).map((each) => Buffer.from(each)),
  { maxLength: 6 },
)
const cuts = fc.array(fc.nat(), { maxLength: 30 })
const trailers = { 'x-amz-checksum-crc32c': 'AAAAAA==' }

interface Sample {
  readonly framing: ChunkedFraming
  readonly content: Buffer
  readonly whole: Buffer
}

function sample(
  { isSigned, hasTrailers }: { isSigned: boolean; hasTrailers: boolean },
  all: readonly Buffer[],
): Sample {
  const content = Buffer.concat(all)
  const extra = hasTrailers ? { trailers } : {}
  return {
    content,
    whole: Buffer.concat(chunked(all, { date, seed, isSigned, ...extra })),
    framing: {
      length: content.length,
      signing: isSigned ? signing : undefined,
      hasTrailers,
      trailerNames: hasTrailers ? Object.keys(trailers) : [],
    },
  }
}

test('K1: a valid stream gives its bytes and trailers, wherever the network cuts it', () => {
  fc.assert(
    fc.property(mode, pieces, cuts, (chosen, all, at) => {
      const { framing, content, whole } = sample(chosen, all)
      const expected = { bytes: content, trailers: chosen.hasTrailers ? 'x-amz-checksum-crc32c,AAAAAA==' : '' }
      assert.deepEqual(decode(framing, split(whole, at)), expected)
    }),
    { numRuns: 400 },
  )
})

type Mutation = readonly [kind: 'change' | 'cut' | 'insert' | 'remove' | 'repeat', at: number, byte: number]
const mutation: fc.Arbitrary<Mutation> = fc.tuple(
  fc.constantFrom('change', 'cut', 'insert', 'remove', 'repeat'),
  fc.nat(),
  // Those that the framing is made of come often.
  fc.oneof(fc.constantFrom(...Buffer.from('\r\n;=:0123456789abcdefF \t')), fc.nat(255)),
)

function mutated(whole: Buffer, [kind, at, byte]: Mutation): Buffer {
  const place = at % whole.length
  const before = whole.subarray(0, place)
  const after = whole.subarray(place + 1)
  if (kind === 'change') return Buffer.concat([before, Buffer.of(byte), after])
  if (kind === 'cut') return Buffer.from(before)
  if (kind === 'insert') return Buffer.concat([before, Buffer.of(byte), whole.subarray(place)])
  if (kind === 'remove') return Buffer.concat([before, after])
  return Buffer.concat([whole.subarray(0, place), whole.subarray(Math.max(0, place - 40))])
}

test('K1, K2: a mutated signed stream gives the exact bytes and trailers, or a Fault', () => {
  let faults = 0
  fc.assert(
    fc.property(
      fc.boolean(),
      pieces,
      fc.array(mutation, { minLength: 1, maxLength: 3 }),
      cuts,
      (hasTrailers, all, mutations, at) => {
        const { framing, content, whole } = sample({ isSigned: true, hasTrailers }, all)
        const result = decode(framing, split(mutations.reduce(mutated, whole), at))
        if (typeof result === 'string') faults++
        else assert.deepEqual(result, { bytes: content, trailers: hasTrailers ? 'x-amz-checksum-crc32c,AAAAAA==' : '' })
      },
    ),
    { numRuns: 3000 },
  )
  assert.ok(faults > 1500, `only ${faults} mutated streams were refused`)
})

test('K1: a mutated unsigned stream has the declared length, or is a Fault', () => {
  fc.assert(
    fc.property(pieces, fc.array(mutation, { minLength: 1, maxLength: 3 }), cuts, (all, mutations, at) => {
      const { framing, content, whole } = sample({ isSigned: false, hasTrailers: true }, all)
      const result = decode(framing, split(mutations.reduce(mutated, whole), at))
      if (typeof result !== 'string') assert.equal(result.bytes.length, content.length)
    }),
    { numRuns: 2000 },
  )
})

test('K3: what is not framing is refused after a line, not collected', () => {
  const framing: ChunkedFraming = {
    length: 2 ** 40,
    signing: undefined,
    hasTrailers: true,
    trailerNames: ['x-amz-checksum-sha1'],
  }
  const endless = Buffer.alloc(1024, '1')
  let written = 0
  const decoder = new ChunkedDecoder(framing)
  assert.throws(
    () => {
      for (; written < 1_000_000; written += endless.length) decoder.write(endless, () => {})
    },
    { code: 'InvalidRequest' },
  )
  assert.ok(written <= 1024)

  const trailing = new ChunkedDecoder({ ...framing, length: 0 })
  trailing.write(Buffer.from('0\r\n'), () => {})
  assert.throws(
    () => {
      for (written = 0; written < 1_000_000; written += 1) trailing.write(Buffer.from('\n'), () => {})
      // Blank lines end unsigned trailers, which were announced and have not come.
    },
    { code: 'MalformedTrailerError' },
  )
  const slow = new ChunkedDecoder({ ...framing, length: 0, signing })
  const signed = chunked([], { date, seed, isSigned: true })
  slow.write(signed[0] ?? Buffer.alloc(0), () => {})
  assert.throws(
    () => {
      for (written = 0; written < 1_000_000; written += 1) slow.write(Buffer.from('\r\n'), () => {})
    },
    { code: 'MalformedTrailerError' },
  )
  assert.ok(written < 5000)
})

test('K3: bytes of a chunk pass on as they come, before the chunk is whole', () => {
  const decoder = new ChunkedDecoder({ length: 2 ** 33, signing, hasTrailers: false, trailerNames: [] })
  let passed = 0
  const emit = (piece: Buffer): void => {
    passed += piece.length
  }
  decoder.write(Buffer.from(`200000000;chunk-signature=${'a'.repeat(64)}\r\n`), emit)
  const block = Buffer.alloc(65536)
  for (let index = 1; index <= 100; index++) {
    decoder.write(block, emit)
    assert.equal(passed, index * block.length)
  }
})

test('K1: sizes that overflow, have signs or spaces, or extensions are refused', () => {
  const framing: ChunkedFraming = { length: 5, signing: undefined, hasTrailers: true, trailerNames: [] }
  const stream = (head: string): string | object => decode(framing, [Buffer.from(`${head}\r\nhello\r\n0\r\n\r\n`)])
  assert.equal(typeof stream('5'), 'object')
  assert.equal(typeof stream('005'), 'object')
  for (const head of [
    '',
    '+5',
    '-5',
    ' 5',
    '5 ',
    '0x5',
    '5;a=b',
    '5,',
    '5g',
    '6',
    '4',
    '10000000000000005',
    'ffffffffffffffff',
  ]) {
    assert.equal(typeof stream(head), 'string', JSON.stringify(head))
  }
  assert.equal(typeof decode(framing, [Buffer.from('5\nhello\n0\n\n')]), 'string', 'bare line feeds')
})

test('K2: a trailer behind the signature of trailers is refused', () => {
  const { framing, whole } = sample({ isSigned: true, hasTrailers: true }, [])
  const [head = '', trailer = '', signature = ''] = whole.toString().split('\r\n')
  const swapped = [head, signature, trailer, '', ''].join('\r\n')
  assert.equal(decode(framing, [Buffer.from(swapped)]), 'MalformedTrailerError')
})

test('K1: trailers end as minio-go and as AWS write them', () => {
  const framing: ChunkedFraming = {
    length: 0,
    signing: undefined,
    hasTrailers: true,
    trailerNames: ['x-amz-checksum-crc32c'],
  }
  const value = 'x-amz-checksum-crc32c:AAAAAA=='
  for (const end of ['\r\n\r\n', '\n\r\n\r\n', '\n\r\n']) {
    assert.equal(typeof decode(framing, [Buffer.from(`0\r\n${value}${end}`)]), 'object', JSON.stringify(end))
  }
  for (const end of ['', '\r\n', '\r\n\r\n\r\n\r\n', '\r\n\r\nx', '\r\n\r\n\n']) {
    assert.equal(typeof decode(framing, [Buffer.from(`0\r\n${value}${end}`)]), 'string', JSON.stringify(end))
  }
})
