import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GetObjectCommand, type GetObjectCommandInput, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { refusal, useHarness } from './store.ts'

const harness = useHarness()

/** Inline, and on a volume. */
const sizes = [11, 300_000]

async function prepare(
  size: number,
): Promise<{ readonly name: { Bucket: string; Key: string }; readonly body: Buffer }> {
  const body = Buffer.from(Array.from({ length: size }, (_, index) => (index * 7) & 255))
  const name = { Bucket: await harness().makeBucket(), Key: 'k' }
  await harness().client.send(new PutObjectCommand({ ...name, Body: body }))
  return { name, body }
}

async function read(input: GetObjectCommandInput) {
  const answer = await harness().client.send(new GetObjectCommand(input))
  const bytes = Buffer.from((await answer.Body?.transformToByteArray()) ?? [])
  return { status: answer.$metadata.httpStatusCode, range: answer.ContentRange, bytes, answer }
}

test('a range is answered with 206, its bytes and its place', async () => {
  for (const size of sizes) {
    const { name, body } = await prepare(size)
    const cases: readonly (readonly [string, number, number])[] = [
      ['bytes=4-7', 4, 8],
      ['bytes=4-', 4, size],
      ['bytes=-7', size - 7, size],
      ['bytes=0-0', 0, 1],
      [`bytes=${size - 1}-`, size - 1, size],
      ['bytes=0-99999999999999999999', 0, size],
      ['bytes=-99999999999999999999', 0, size],
    ]
    for (const [Range, from, to] of cases) {
      const got = await read({ ...name, Range })
      assert.equal(got.status, 206, Range)
      assert.equal(got.range, `bytes ${from}-${to - 1}/${size}`)
      assert.ok(got.bytes.equals(body.subarray(from, to)), Range)
      const head = await harness().client.send(new HeadObjectCommand({ ...name, Range }))
      assert.equal(head.ContentLength, to - from)
      assert.equal(head.$metadata.httpStatusCode, 206)
    }
  }
})

test('what is no range gives the whole object; what lies behind its end is 416', async () => {
  const { name, body } = await prepare(11)
  for (const Range of ['bytes=5-3', 'bytes=0-1,3-4', 'bytes=x', 'items=0-1']) {
    const got = await read({ ...name, Range })
    assert.equal(got.status, 200, Range)
    assert.equal(got.range, undefined)
    assert.ok(got.bytes.equals(body))
  }
  for (const Range of ['bytes=11-', 'bytes=40-50', 'bytes=-0', 'bytes=18446744073709551616-']) {
    assert.equal(await refusal(read({ ...name, Range })), '416 InvalidRange', Range)
  }
  const empty = { ...name, Key: 'empty' }
  await harness().client.send(new PutObjectCommand({ ...empty, Body: '' }))
  assert.equal(await refusal(read({ ...empty, Range: 'bytes=0-' })), '416 InvalidRange')
})

test('a part number is a whole number from 1 to 10,000, and not beside a range', async () => {
  const { name, body } = await prepare(11)
  const first = await read({ ...name, PartNumber: 1 })
  assert.equal(first.status, 206)
  assert.ok(first.bytes.equals(body))
  for (const PartNumber of [0, 10_001, 1.5, -1]) {
    assert.equal(await refusal(read({ ...name, PartNumber })), '400 InvalidArgument', `${PartNumber}`)
  }
  assert.equal(await refusal(read({ ...name, PartNumber: 2 })), '400 InvalidPart')
  assert.equal(await refusal(read({ ...name, PartNumber: 1, Range: 'bytes=0-1' })), '400 InvalidRequest')
})

test('If-Range sends the range of an unchanged object, and all of a changed one', async () => {
  const { name, body } = await prepare(300_000)
  const withIfRange = async (value: string) => {
    const command = new GetObjectCommand({ ...name, Range: 'bytes=0-9' })
    command.middlewareStack.add(
      (next) => (args) => {
        const request = args.request as { headers: Record<string, string> }
        request.headers['if-range'] = value
        return next(args)
      },
      { step: 'build' },
    )
    const answer = await harness().client.send(command)
    return [answer.$metadata.httpStatusCode, (await answer.Body?.transformToByteArray())?.length]
  }
  const { answer } = await read(name)
  assert.deepEqual(await withIfRange(answer.ETag ?? ''), [206, 10])
  assert.deepEqual(await withIfRange(`W/${answer.ETag}`), [200, body.length])
  assert.deepEqual(await withIfRange('"other"'), [200, body.length])
  assert.deepEqual(await withIfRange((answer.LastModified ?? new Date()).toUTCString()), [206, 10])
  assert.deepEqual(await withIfRange('Sat, 29 Oct 1994 19:43:31 GMT'), [200, body.length])
})
