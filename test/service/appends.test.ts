import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Fault, type FaultCode } from '#src/errors.ts'
import { keys, type Subspace, under } from '#src/metadata/keyspace.ts'
import type { ChecksumAlgorithm } from '#src/model/checksum.ts'
import type { EncryptionWish } from '#src/model/encryption.ts'
import { acl, attributes, body, bytesOf, openCell, owner } from './cell.ts'

type Cell = Awaited<ReturnType<typeof openCell>>

const bucket = 'bucket'
const guard = () => {}
const fails = (code: FaultCode) => (error: unknown) => error instanceof Fault && error.code === code

interface Extra {
  readonly encryption?: EncryptionWish
  readonly checksum?: ChecksumAlgorithm
}

function asking(cell: Cell) {
  const request = (key: string, text: string, { encryption, checksum }: Extra) => ({
    name: { bucket, key },
    attributes,
    body: body(Buffer.from(text)),
    digests: checksum === undefined ? {} : { checksum: { algorithm: checksum, value: () => undefined } },
    conditions: {},
    guard,
    ...(encryption !== undefined && { encryption }),
  })
  const customerKey = ({ encryption }: Extra) => encryption?.kind === 'SSE-C' && { customerKey: encryption.key }
  return {
    put: (key: string, text: string, extra: Extra = {}) => cell.objects.put(request(key, text, extra)),
    append: (key: string, offset: number, text: string, extra: Extra = {}) =>
      cell.objects.append({
        ...request(key, text, extra),
        offset,
        asksEncryption: extra.encryption !== undefined,
      }),
    read: async (key: string, extra: Extra = {}) => {
      const found = await cell.objects.get({ name: { bucket, key }, guard, conditions: {}, ...customerKey(extra) })
      return (await bytesOf(found.bytes)).toString()
    },
    copy: (from: string, to: string, extra: Extra = {}) =>
      cell.objects.copy({
        source: { name: { bucket, key: from }, guard, conditions: {}, ...customerKey(extra) },
        name: { bucket, key: to },
        attributes: () => attributes,
        conditions: {},
        guard,
        ...(extra.encryption !== undefined && { encryption: extra.encryption }),
      }),
    remove: (key: string) =>
      cell.objects.delete({ name: { bucket, key }, guard, conditions: {}, bypassGovernance: false, caller: owner }),
  }
}

async function opened() {
  const cell = await openCell()
  await cell.buckets.create({ name: bucket, owner, acl, location: '', hasObjectLock: false })
  const rows = async (space: Subspace) => {
    const { from, to } = under(space, [])
    return (await cell.store.snapshot((snapshot) => snapshot.range(from, to, { limit: 10_000 }))).length
  }
  const collect = async () => {
    while ((await cell.collector.pass()) > 0);
  }
  return { cell, rows, collect, ...asking(cell) }
}

type Operation =
  | { readonly kind: 'put' | 'append'; readonly key: string; readonly size: number }
  | { readonly kind: 'copy'; readonly key: string; readonly to: string }
  | { readonly kind: 'remove'; readonly key: string }

const key = fc.constantFrom('a', 'b')
const size = fc.constantFrom(1, 5, 16, 17, 300)
const plain = { noNullPrototype: true }
const operations = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('append' as const), key, size }, plain) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('put' as const), key, size }, plain) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('copy' as const), key, to: key }, plain) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), key }, plain) },
  ),
  { minLength: 12, maxLength: 30 },
)

const customer: EncryptionWish = { kind: 'SSE-C', key: Buffer.alloc(32, 7) }

describe('appends', () => {
  for (const [title, extra] of [
    ['plain', {}],
    ['encrypted', { encryption: { kind: 'SSE-S3' } }],
    ["with a customer's key", { encryption: customer }],
  ] as readonly (readonly [string, Extra])[]) {
    test(`W4: whatever is put, appended, copied and deleted, all is read as written and nothing is left over: ${title}`, async () => {
      const house = await opened()
      const done = { appends: 0, copies: 0 }
      const run = async (each: readonly Operation[]): Promise<void> => {
        const model = new Map<string, string>()
        let letter = 0
        for (const operation of each) {
          const standing = model.get(operation.key)
          if ('size' in operation) {
            const text = String.fromCharCode(97 + (letter++ % 26)).repeat(operation.size)
            const isAppend = operation.kind === 'append'
            if (isAppend) await house.append(operation.key, standing?.length ?? 0, text, extra)
            else await house.put(operation.key, text, extra)
            if (isAppend) done.appends++
            model.set(operation.key, isAppend ? (standing ?? '') + text : text)
          } else if (!('to' in operation)) {
            await house.remove(operation.key)
            model.delete(operation.key)
          } else if (standing !== undefined && operation.to !== operation.key) {
            await house.copy(operation.key, operation.to, extra)
            done.copies++
            model.set(operation.to, standing)
          }
          if (letter % 3 === 0) await house.collect()
          for (const [name, text] of model) assert.equal(await house.read(name, extra), text)
        }
        for (const name of ['a', 'b']) await house.remove(name)
        await house.collect()
        for (const space of ['blob', 'manifest', 'reference', 'inline', 'part'] as const) {
          assert.equal(await house.rows(space), 0, space)
        }
      }
      await fc.assert(fc.asyncProperty(operations, run), { numRuns: 40 })
      assert.ok(done.appends > 100 && done.copies > 20, JSON.stringify(done))
      await house.cell.close()
    })
  }

  test('W3: of appends at one offset, one succeeds', async () => {
    const { cell, append, read } = await opened()
    const at = { size: 0 }
    for (let round = 0; round < 10; round++) {
      const tried = await Promise.allSettled(
        Array.from({ length: 6 }, (_, index) => append('k', at.size, `${round}${index};`)),
      )
      const lost = tried.filter((each) => each.status === 'rejected').map(({ reason }) => reason as Fault)
      assert.equal(lost.length, 5)
      assert.ok(
        lost.every(({ code }) => code === 'InvalidWriteOffset'),
        String(lost[0]),
      )
      at.size += 3
    }
    assert.match(await read('k'), /^(0\d;)(1\d;)(2\d;)(3\d;)(4\d;)(5\d;)(6\d;)(7\d;)(8\d;)(9\d;)$/)
    await cell.close()
  })

  test('W4: a copy made while an append is under way keeps its bytes', async () => {
    const { cell, append, copy, read, put, remove, collect } = await opened()
    await put('k', 'x'.repeat(40))
    const slow = {
      length: 3,
      async *stream() {
        await copy('k', 'c')
        yield Buffer.from('end')
      },
      async pieces() {
        await copy('k', 'c')
        return [Buffer.from('end')]
      },
    }
    const asked = { attributes, digests: {}, conditions: {}, guard, offset: 40, asksEncryption: false }
    const appended = cell.objects.append({ ...asked, name: { bucket, key: 'k' }, body: slow })
    await assert.rejects(appended, fails('OperationAborted'))
    await append('k', 40, 'end')
    await remove('k')
    await collect()
    assert.equal(await read('c'), 'x'.repeat(40))
    await cell.close()
  })

  test('W4: where other cells may name blobs, no manifest takes them over', async () => {
    const { cell, append, put, read } = await opened()
    await put('k', 'x'.repeat(40))
    const { readManifest, beginSharing } = await import('#src/metadata/blob-records.ts')
    await cell.store.transact((transaction) => beginSharing(transaction, { region: 'fra', cell: 7 }))
    const blobs = new Set<string>()
    for (const [index, letter] of ['a', 'b', 'c'].entries()) {
      const { version } = await append('k', 40 + index, letter)
      const { content } = version
      assert.ok(content.kind === 'manifest')
      const parts = await cell.store.snapshot((from) => readManifest(from, content.blob))
      for (const { blob } of parts) {
        assert.ok(!blobs.has(blob))
        blobs.add(blob)
      }
    }
    assert.equal(blobs.size, 6)
    assert.equal(await read('k'), `${'x'.repeat(40)}abc`)
    await cell.close()
  })

  test('an append says nothing of the object but its bytes, and tells the size that it came to', async () => {
    const { cell, append, put, read } = await opened()
    await put('k', 'x'.repeat(40))
    await assert.rejects(append('k', 39, 'y'), fails('InvalidWriteOffset'))
    await assert.rejects(append('none', 1, 'y'), fails('InvalidWriteOffset'))
    await assert.rejects(append('k', 40, ''), fails('InvalidRequest'))
    const one = await append('k', 40, 'y')
    assert.deepEqual([one.version.size, one.version.etag.slice(-2)], [41, '-2'])
    const two = await append('k', 41, 'z')
    assert.deepEqual([two.version.size, two.version.etag.slice(-2)], [42, '-3'])
    assert.equal(await read('k'), `${'x'.repeat(40)}yz`)
    const empty = await put('empty', '')
    assert.equal(empty.version.size, 0)
    const begun = await append('empty', 0, 'y')
    assert.equal(begun.version.etag, '415290769594460e2e485922904f345d')
    await cell.close()
  })

  test('checksums that can be joined are, and others become those of parts', async () => {
    const { cell, append, put } = await opened()
    const whole = async (text: string, checksum: ChecksumAlgorithm) =>
      (await put('whole', text, { checksum })).version.checksum?.value
    for (const checksum of ['CRC32', 'CRC32C', 'CRC64NVME'] as const) {
      await put('k', 'one,', { checksum })
      await append('k', 4, 'two,', { checksum })
      const { version } = await append('k', 8, 'three')
      const expected = { algorithm: checksum, type: 'FULL_OBJECT', value: await whole('one,two,three', checksum) }
      assert.deepEqual(version.checksum, expected)
      await assert.rejects(append('k', 13, 'x', { checksum: 'SHA1' }), fails('InvalidRequest'))
    }
    await put('k', 'one,', { checksum: 'SHA256' })
    const { version } = await append('k', 4, 'two')
    assert.deepEqual([version.checksum?.type, version.checksum?.value.slice(-2)], ['COMPOSITE', '-2'])
    await cell.close()
  })

  test('another encryption than the object’s is refused, and so is a bucket with versions', async () => {
    const { cell, append, put, read } = await opened()
    await put('k', 'x', { encryption: { kind: 'SSE-S3' } })
    await assert.rejects(append('k', 1, 'y', { encryption: customer }), fails('EncryptionTypeMismatch'))
    await append('k', 1, 'y')
    assert.equal(await read('k'), 'xy')
    await put('mine', 'x', { encryption: customer })
    await assert.rejects(append('mine', 1, 'y'), fails('InvalidRequest'))
    const other: EncryptionWish = { kind: 'SSE-C', key: Buffer.alloc(32, 8) }
    await assert.rejects(append('mine', 1, 'y', { encryption: other }), fails('InvalidRequest'))
    await put('open', 'x')
    await assert.rejects(append('open', 1, 'y', { encryption: { kind: 'SSE-S3' } }), fails('EncryptionTypeMismatch'))
    await cell.buckets.update(bucket, (each) => ({ ...each, versioning: 'enabled' }))
    await assert.rejects(append('k', 2, 'z'), fails('InvalidBucketState'))
    await cell.close()
  })

  test('ten thousand parts are the most', async () => {
    const { cell, append, put } = await opened()
    await put('k', 'x'.repeat(40))
    const { version } = await append('k', 40, 'y')
    assert.ok(version.content.kind === 'manifest')
    const { blob } = version.content
    const { addManifest, readManifest } = await import('#src/metadata/blob-records.ts')
    await cell.store.transact(async (transaction) => {
      const [part] = await readManifest(transaction, blob)
      assert.ok(part !== undefined)
      addManifest(
        transaction,
        blob,
        Array.from({ length: 9_999 }, (_, index) => ({ ...part, number: index + 1 })),
      )
    })
    const last = await append('k', 41, 'z')
    assert.ok(last.version.content.kind === 'manifest' && last.version.content.parts === 10_000)
    await assert.rejects(append('k', 42, 'z'), fails('TooManyParts'))
    assert.ok((await cell.store.snapshot((from) => from.get(keys.blob(blob)))) === undefined)
    await cell.close()
  })
})
