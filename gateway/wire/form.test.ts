import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import fc from 'fast-check'
import { Fault } from '#src/errors.ts'
import { PlainDecoder, StreamedBody } from './body.ts'
import { fieldBytesMax, formBoundary, readForm } from './form.ts'
import { formHeaders } from './form-headers.ts'

const boundary = 'XX-boundary'

function part(name: string, value: string | Buffer, extra = ''): Buffer {
  const head = `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${extra}\r\n\r\n`
  return Buffer.concat([Buffer.from(head), Buffer.from(value), Buffer.from('\r\n')])
}

const end = Buffer.from(`--${boundary}--\r\n`)

interface Read {
  readonly fields: Readonly<Record<string, string>>
  readonly fileName: string
  readonly file: Buffer
}

async function read(parts: readonly Buffer[]): Promise<Read> {
  const length = parts.reduce((sum, each) => sum + each.length, 0)
  const form = await readForm(
    boundary,
    new StreamedBody(Readable.from(parts), new PlainDecoder(length, undefined), length),
  )
  const pieces: Uint8Array[] = []
  for await (const piece of form.file()) pieces.push(piece)
  return { fields: Object.fromEntries(form.fields), fileName: form.fileName, file: Buffer.concat(pieces) }
}

const code = (parts: readonly Buffer[]): Promise<string> =>
  read(parts).then(
    () => 'accepted',
    (error: unknown) => (error instanceof Fault ? error.code : String(error)),
  )

function split(whole: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (whole.length + 1)))].sort((a, b) => a - b)
  return [0, ...places]
    .map((from, index) => whole.subarray(from, places[index] ?? whole.length))
    .filter((each) => each.length > 0)
}

/** Files full of what might be taken for a boundary. */
const nasty = fc
  .array(
    fc.constantFrom(
      '\r\n',
      '\r',
      '--',
      `--${boundary.slice(0, 5)}`,
      `\r\n--${boundary.slice(0, -1)}`,
      boundary,
      'a',
      '\n',
    ),
    { maxLength: 30 },
  )
  .map((pieces) => Buffer.from(pieces.join('')))
  .filter((bytes) => !bytes.includes(`\r\n--${boundary}`) && !bytes.toString().startsWith(`--${boundary}`))

test('F1: the file is what was sent, wherever the network cuts it and whatever looks like a boundary', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        nasty,
        fc.uint8Array({ maxLength: 500 }).map((each) => Buffer.from(each)),
      ),
      fc.array(fc.nat(), { maxLength: 20 }),
      async (content, cuts) => {
        const whole = Buffer.concat([
          part('Key', 'a/b'),
          part('file', content, '; filename="x.txt"'),
          part('submit', 'Go'),
          end,
        ])
        assert.deepEqual(await read(split(whole, cuts)), { fields: { key: 'a/b' }, fileName: 'x.txt', file: content })
      },
    ),
    { numRuns: 300 },
  )
})

test('F1: a form cut anywhere before the boundary behind its file is refused', async () => {
  const whole = Buffer.concat([
    part('key', 'a'),
    part('policy', 'b'),
    part('file', 'the content', '; filename="x"'),
    end,
  ])
  const fileEnd = whole.length - end.length + boundary.length + 2
  for (let at = 0; at < fileEnd; at++) {
    assert.match(await code([whole.subarray(0, at)]), /MalformedPOSTRequest|IncompleteBody/, `cut at ${at}`)
  }
})

test('F2: fields that take too much, or never end, are refused before they are kept', async () => {
  assert.equal(await code([part('policy', 'x'.repeat(fieldBytesMax - 10)), part('file', 'a'), end]), 'accepted')
  assert.equal(
    await code([part('policy', 'x'.repeat(fieldBytesMax + 1)), part('file', 'a'), end]),
    'MaxPostPreDataLengthExceededError',
  )
  const many = Array.from({ length: 300 }, (_, index) => part(`x-ignore-${index}`, 'y'))
  assert.equal(await code([...many, part('file', 'a'), end]), 'MaxPostPreDataLengthExceededError')
  let sent = 0
  const endless = new Readable({
    read() {
      sent += 65536
      this.push(
        sent > 100_000_000 ? null : sent === 65536 ? part('key', 'x').subarray(0, -2) : Buffer.alloc(65536, 'x'),
      )
    },
  })
  await assert.rejects(
    readForm(boundary, new StreamedBody(endless, new PlainDecoder(undefined, undefined), undefined)),
    {
      code: 'MaxPostPreDataLengthExceededError',
    },
  )
  assert.ok(sent < 1_000_000)
  assert.equal(await code([Buffer.from(`--${boundary}\r\nX: ${'y'.repeat(10_000)}`)]), 'MalformedPOSTRequest')
})

test('forms without a file, with a field twice, without names or in bad UTF-8 are refused', async () => {
  assert.equal(await code([part('key', 'a'), end]), 'InvalidArgument')
  assert.equal(await code([part('key', 'a'), part('KEY', 'b'), part('file', ''), end]), 'InvalidArgument')
  assert.equal(await code([part('key', Buffer.of(0xff)), part('file', ''), end]), 'MalformedPOSTRequest')
  assert.equal(await code([Buffer.from(`--${boundary}\r\nContent-Type: a\r\n\r\nx\r\n`), end]), 'MalformedPOSTRequest')
  assert.equal(await code([Buffer.from('no form at all, but long enough to be one')]), 'MalformedPOSTRequest')
})

test('file names are read as browsers and libraries write them', async () => {
  const name = async (extra: string): Promise<string> => (await read([part('file', '', extra), end])).fileName
  assert.equal(await name('; filename="a b.txt"'), 'a b.txt')
  assert.equal(await name('; filename=plain.txt'), 'plain.txt')
  assert.equal(await name('; filename="C:\\Users\\me\\photo.jpg"'), 'photo.jpg')
  assert.equal(await name('; filename="../../etc/passwd"'), 'passwd')
  assert.equal(await name('; filename="semi;colon \\"quoted\\".txt"'), 'semi;colon "quoted".txt')
  assert.equal(await name("; filename*=utf-8''na%C3%AFve.txt"), 'naïve.txt')
  assert.equal(await name(''), '')
})

test('the boundary is that of the content type', () => {
  assert.equal(formBoundary('multipart/form-data; boundary=abc'), 'abc')
  assert.equal(formBoundary('Multipart/Form-Data; charset=utf-8; Boundary="a b"'), 'a b')
  assert.equal(formBoundary('text/plain; boundary=abc'), undefined)
  assert.equal(formBoundary(undefined), undefined)
  for (const bad of [
    'multipart/form-data',
    'multipart/form-data; boundary=',
    `multipart/form-data; boundary=${'x'.repeat(71)}`,
  ]) {
    assert.throws(() => formBoundary(bad), { code: 'MalformedPOSTRequest' })
  }
})

test('fields become the headers of a PutObject, and nothing else does', () => {
  const fields = new Map([
    ['key', 'k'],
    ['acl', 'public-read'],
    ['content-type', 'text/plain'],
    ['host', 'evil'],
    ['authorization', 'evil'],
    ['x-amz-meta-a', 'line\r\nbreak é'],
    ['x-amz-credential', 'c'],
    ['x-tigris-regions', 'fra'],
    ['x-tigris-consistent', 'true'],
    ['tagging', '<Tagging><TagSet><Tag><Key>a b</Key><Value>+=</Value></Tag></TagSet></Tagging>'],
  ])
  assert.deepEqual(
    { ...formHeaders(fields) },
    {
      'x-amz-acl': 'public-read',
      'content-type': 'text/plain',
      'x-amz-meta-a': 'line  break Ã©',
      'x-amz-tagging': 'a%20b=%2B%3D',
      'x-tigris-regions': 'fra',
    },
  )
})
