import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Fault, type FaultCode } from '#src/errors.ts'
import { keys, type Subspace, under } from '#src/metadata/keyspace.ts'
import { setPart } from '#src/metadata/upload-records.ts'
import { acl, attributes, body, bytesOf, openCell, owner } from './cell.ts'

type Cell = Awaited<ReturnType<typeof openCell>>

const bucket = 'bucket'
const guard = () => {}
const large = 5 * 2 ** 20
const fails = (code: FaultCode) => (error: unknown) => error instanceof Fault && error.code === code

describe('multipart uploads', () => {
  let cell: Cell
  before(async () => {
    cell = await openCell()
    await cell.buckets.create({ name: bucket, owner, acl, location: '', hasObjectLock: false })
  })
  after(() => cell.close())

  const start = async (key: string) => {
    const upload = await cell.uploads.create({ name: { bucket, key }, attributes, initiator: owner })
    const name = { name: { bucket, key }, uploadId: upload.id }
    const put = (number: number, bytes: Uint8Array) =>
      cell.uploads.putPart({ ...name, number, body: body(bytes), digests: {} })
    return { name, put }
  }
  const rows = async (space: Subspace) => {
    const { from, to } = under(space, [])
    return (await cell.store.snapshot((snapshot) => snapshot.range(from, to, { limit: 10_000 }))).length
  }

  test('an object is the parts that were named, in order, and nothing else is kept', async () => {
    const { name, put } = await start('joined')
    const first = Buffer.alloc(large, 'first.')
    await put(1, Buffer.alloc(10, 'replaced'))
    const one = await put(1, first)
    const unused = await put(2, Buffer.from('left out'))
    const last = await put(7, Buffer.from('the end'))
    assert.notEqual(unused.blob, last.blob)
    const parts = [one, last].map(({ number, etag }) => ({ number, etag }))
    const complete = { ...name, parts, conditions: {}, guard }
    const written = await cell.uploads.complete(complete)
    assert.match(written.version.etag, /^[0-9a-f]{32}-2$/)
    const whole = await cell.objects.get({ name: name.name, guard, conditions: {} })
    const expected = Buffer.concat([first, Buffer.from('the end')])
    assert.ok((await bytesOf(whole.bytes)).equals(expected))
    const seam = { kind: 'range', from: large - 3, to: large + 2 } as const
    const ranged = await cell.objects.get({ name: name.name, guard, conditions: {}, wanted: seam })
    assert.equal((await bytesOf(ranged.bytes)).toString(), expected.subarray(large - 3, large + 3).toString())
    const second = await cell.objects.get({
      name: name.name,
      guard,
      conditions: {},
      wanted: { kind: 'part', number: 2 },
    })
    assert.equal((await bytesOf(second.bytes)).toString(), 'the end')
    assert.deepEqual(await cell.uploads.complete(complete), written, 'C26: asked again, it answers the same')
    await cell.collector.pass()
    assert.equal(await rows('blob'), 3, 'two parts and their manifest')
    await cell.objects.delete({ name: name.name, guard, conditions: {}, bypassGovernance: false, caller: owner })
    await cell.collector.pass()
    for (const space of ['blob', 'manifest', 'reference', 'part', 'upload', 'job'] as const) {
      assert.equal(await rows(space), 0, `nothing is left under ${space}`)
    }
  })

  test('an aborted upload is gone, and its parts are collected', async () => {
    const { name, put } = await start('aborted')
    await put(1, Buffer.from('some'))
    await cell.uploads.abort(name)
    await assert.rejects(put(2, Buffer.from('more')), fails('NoSuchUpload'))
    await assert.rejects(cell.uploads.listParts({ ...name, after: 0, limit: 10 }), fails('NoSuchUpload'))
    await cell.collector.pass()
    assert.equal(await rows('part'), 0)
    assert.equal(await rows('blob'), 0)
  })

  test('a bucket goes with its uploads in progress, and these with their parts', async () => {
    const name = { bucket: 'doomed', key: 'k' }
    await cell.buckets.create({ name: 'doomed', owner, acl, location: '', hasObjectLock: false })
    const { id } = await cell.uploads.create({ name, attributes, initiator: owner })
    await cell.uploads.putPart({ name, uploadId: id, number: 1, body: body(Buffer.from('some')), digests: {} })
    await cell.buckets.delete('doomed')
    while ((await cell.collector.pass()) > 0);
    for (const space of ['upload', 'part', 'blob', 'job'] as const) assert.equal(await rows(space), 0, space)
  })

  test('what cannot be joined is refused and stays as it was', async () => {
    const { name, put } = await start('refused')
    const parts = [await put(1, Buffer.from('small')), await put(2, Buffer.from('last'))]
    const complete = (named: readonly { number: number; etag: string }[]) =>
      cell.uploads.complete({ ...name, parts: named, conditions: {}, guard })
    const [one, two] = parts.map(({ number, etag }) => ({ number, etag }))
    assert.ok(one !== undefined && two !== undefined)
    await assert.rejects(complete([one, two]), fails('EntityTooSmall'))
    await assert.rejects(complete([two, one]), fails('InvalidPartOrder'))
    await assert.rejects(complete([{ number: 1, etag: two.etag }]), fails('InvalidPart'))
    await assert.rejects(complete([{ number: 3, etag: one.etag }]), fails('InvalidPart'))
    const listed = await cell.uploads.listParts({ ...name, after: 0, limit: 1 })
    assert.equal(listed.isTruncated, true)
    await complete([one])
    await assert.rejects(cell.uploads.abort(name), fails('NoSuchUpload'))
  })

  test('C6: 10,000 parts are completed within the limits of one transaction', async () => {
    const { name, put } = await start('x'.repeat(1024))
    const model = await put(1, Buffer.alloc(10))
    const count = 10_000
    for (let first = 1; first <= count; first += 1000) {
      await cell.store.transact(async (transaction) => {
        for (let number = first; number < first + 1000; number++) {
          const blob = number === 1 ? model.blob : number.toString(16).padStart(32, '0')
          setPart(transaction, name.uploadId, { ...model, number, size: large, blob })
        }
      })
    }
    assert.ok((await cell.store.snapshot((snapshot) => snapshot.get(keys.part(name.uploadId, count)))) !== undefined)
    const parts = Array.from({ length: count }, (_, index) => ({ number: index + 1, etag: model.etag }))
    const written = await cell.uploads.complete({ ...name, parts, conditions: {}, guard })
    assert.equal(written.version.size, count * large)
    const { parts: told, total } = await cell.objects.parts({ name: name.name, guard, after: 9_990, limit: 100 })
    assert.equal(total, count)
    assert.deepEqual(
      told.map((part) => part.number),
      [9991, 9992, 9993, 9994, 9995, 9996, 9997, 9998, 9999, 10_000],
    )
  })
})
