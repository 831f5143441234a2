import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { BlobUnreadable, type UnreadableReason } from '#src/blobs/blobs.ts'
import { chunkBytes } from '#src/blobs/frame.ts'
import { realWorld } from '#src/world.ts'
import { bytesOf } from '../service/cell.ts'
import { MemoryBlobs } from './memory-blobs.ts'

test('B1, B2: blobs in memory read back, and what is broken stays so', async () => {
  let fault: UnreadableReason | undefined
  const blobs = new MemoryBlobs({ world: realWorld, fault: (_, chunk) => (chunk === 1 ? fault : undefined) })
  const id = randomBytes(16).toString('hex')
  const body = randomBytes(2 * chunkBytes + 5)
  const { extents, size, digest } = await blobs.write(id, [body.subarray(0, 7), body.subarray(7)])
  const read = (from: number, to: number): Promise<Buffer> => bytesOf(blobs.read(id, extents, from, to))
  assert.equal(
    createHash('sha256')
      .update(await blobs.checksums(id, extents))
      .digest('hex'),
    digest,
  )
  for (const [from, to] of [
    [0, size],
    [3, chunkBytes + 1],
    [size - 1, size],
    [5, 5],
  ] as const) {
    assert.ok((await read(from, to)).equals(body.subarray(from, to)), `${from} to ${to}`)
  }
  for (const reason of ['failed', 'corrupt'] as const) {
    fault = reason
    await assert.rejects(read(0, size), (error) => error instanceof BlobUnreadable && error.reason === reason)
    fault = undefined
    if (reason === 'failed') assert.ok((await read(0, size)).equals(body))
    else await assert.rejects(read(0, size), BlobUnreadable)
  }
  const under = blobs.write(id, [body])
  blobs.crash()
  assert.equal(await Promise.race([under, realWorld.sleep(20, new AbortController().signal)]), undefined)
})
