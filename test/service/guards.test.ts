import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deleteBucket } from '#gateway/operations/bucket/delete-bucket.ts'
import { headBucket } from '#gateway/operations/bucket/head-bucket.ts'
import { putPublicAccessBlock } from '#gateway/operations/configuration/public-access-block.ts'
import type { Context, S3Request } from '#gateway/operations/operation.ts'
import { Fault } from '#src/errors.ts'
import type { Guard } from '#src/model/guard.ts'
import { CellListings } from '#src/service/listings.ts'
import type { Services } from '#src/service/services.ts'
import { acl, openCell, owner } from './cell.ts'

const document = Buffer.from('<PublicAccessBlockConfiguration/>')

/** As the pipeline makes it of a request for a bucket. */
function requestFor(bucket: string): S3Request {
  return {
    id: 'request',
    method: 'PUT',
    scope: 'bucket',
    bucket,
    key: '',
    query: new Map(),
    headers: {},
    body: {
      length: document.length,
      async *stream() {
        yield document
      },
      collect: async () => document,
      pieces: async () => [document],
      trailers: () => new Map(),
    },
    caller: { kind: 'anonymous' },
    remoteAddress: '127.0.0.1',
    isSecure: false,
    host: 'localhost',
  }
}

test('the guard is shown the bucket that is read, changed, deleted or listed, and nothing is done that it refuses', async () => {
  const cell = await openCell()
  const { buckets, foundation } = cell
  const name = 'guarded'
  const made = await buckets.create({ name, owner, acl, location: '', hasObjectLock: false })
  const shown: number[] = []
  const guard: Guard = (version, bucket) => {
    assert.equal(version, undefined)
    shown.push(bucket.id)
    throw new Fault('AccessDenied')
  }
  const listings = new CellListings(foundation)
  const services = { buckets, listings, objects: cell.objects, uploads: cell.uploads } as unknown as Services
  const request = requestFor(name)
  const context: Context = { services, caller: request.caller, guard, authorize: async () => guard, request }
  for (const each of [headBucket, putPublicAccessBlock, deleteBucket]) {
    await assert.rejects(
      each.handle(request, async () => context),
      { code: 'AccessDenied' },
      each.name,
    )
  }
  const query = { bucket: name, prefix: '', delimiter: '', limit: 10, guard }
  for (const listing of [listings.objects(query), listings.versions(query), listings.uploads(query)]) {
    await assert.rejects(listing, { code: 'AccessDenied' })
  }
  assert.deepEqual(shown, Array(6).fill(made.id))
  assert.equal((await buckets.get(name)).publicAccessBlock, undefined)
  await cell.close()
})
