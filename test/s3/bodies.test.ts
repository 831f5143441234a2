import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { test } from 'node:test'
import { GetObjectCommand, HeadObjectCommand } from '@aws-sdk/client-s3'
import { refusal, useHarness } from './store.ts'

const harness = useHarness()

/** A bucket that anybody may write to, so that requests need no signature. */
async function openBucket(): Promise<string> {
  const bucket = await harness().makeBucket()
  const anyone = { kind: 'group', uri: 'http://acs.amazonaws.com/groups/global/AllUsers' } as const
  await harness().services.buckets.update(bucket, (before) => ({
    ...before,
    acl: { ...before.acl, grants: [...before.acl.grants, { grantee: anyone, permission: 'WRITE' }] },
  }))
  return bucket
}

/** Sends bytes as they are; the status line of the answer, and what follows. */
async function send(text: string): Promise<string> {
  const { hostname, port } = new URL(harness().endpoint)
  const socket = connect(Number(port), hostname)
  socket.write(text)
  let answer = ''
  for await (const chunk of socket) answer += chunk
  return answer
}

const request = (bucket: string, headers: readonly string[], body = ''): string =>
  [`PUT /${bucket}/k HTTP/1.1`, 'Host: s3', 'Connection: close', ...headers, '', body].join('\r\n')

test('a PUT that says nothing of its body is 411, and writes nothing', async () => {
  const bucket = await openBucket()
  assert.match(await send(request(bucket, [])), /^HTTP\/1.1 411 .*<Code>MissingContentLength</s)
  const head = new HeadObjectCommand({ Bucket: bucket, Key: 'k' })
  assert.match(await refusal(harness().client.send(head)), /^404 /)
  assert.match(await send(request(bucket, ['Content-Length: 0'])), /^HTTP\/1.1 200 /)
  await harness().client.send(head)
})

test('a body in HTTP chunks is taken, small and large', async () => {
  const bucket = await openBucket()
  for (const size of [3, 200_000]) {
    const body = randomBytes(size).toString('hex')
    const chunked = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
    assert.match(await send(request(bucket, ['Transfer-Encoding: chunked'], chunked)), /^HTTP\/1.1 200 /)
    const { Body } = await harness().client.send(new GetObjectCommand({ Bucket: bucket, Key: 'k' }))
    assert.equal(await Body?.transformToString(), body)
  }
})

test('a body above 5 GiB is refused before it is read', async () => {
  const bucket = await openBucket()
  const answer = await send(request(bucket, [`Content-Length: ${5 * 2 ** 30 + 1}`]))
  assert.match(answer, /^HTTP\/1.1 400 .*<Code>EntityTooLarge</s)
})

test('metadata of raw UTF-8 comes back as an encoded word', async () => {
  const bucket = await openBucket()
  const raw = Buffer.from('é😀').toString('latin1')
  const { hostname, port } = new URL(harness().endpoint)
  const socket = connect(Number(port), hostname)
  socket.write(Buffer.from(request(bucket, ['Content-Length: 0', `x-amz-meta-n: ${raw}`]), 'latin1'))
  for await (const chunk of socket) {
    assert.match(String(chunk), /^HTTP\/1.1 200 /)
    break
  }
  const { Metadata } = await harness().client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'k' }))
  assert.deepEqual(Metadata, { n: `=?UTF-8?B?${Buffer.from('é😀').toString('base64')}?=` })
})
