import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ContentTampered } from '#src/encryption/content-tampered.ts'
import { Fault } from '#src/errors.ts'
import { keys as rows } from '#src/metadata/keyspace.ts'
import { decodeVersion, encodeVersion } from '#src/metadata/version-codec.ts'
import type { EncryptionWish } from '#src/model/encryption.ts'
import type { ObjectVersion } from '#src/model/version.ts'
import { checkSeal, makeContentKey, openContentKey, sealedBy } from '#src/service/object-encryption.ts'
import { acl, attributes, body, bytesOf, openCell, owner } from './cell.ts'

const guard = () => {}
const customerKey = Buffer.alloc(32, 5)
const small = Buffer.from('twelve bytes')
const large = Buffer.alloc(300_000, 'large and many bytes ')
const partBytes = 5 * 2 ** 20

const wishes: readonly EncryptionWish[] = [
  { kind: 'SSE-S3' },
  { kind: 'SSE-KMS', keyId: 'mine', hasBucketKey: true, context: 'e30=' },
  { kind: 'SSE-C', key: customerKey },
]
const keyFor = (wish: EncryptionWish) => (wish.kind === 'SSE-C' ? { customerKey } : {})

async function withCell(run: (cell: Awaited<ReturnType<typeof setUp>>) => Promise<void>): Promise<void> {
  const cell = await setUp()
  try {
    await run(cell)
  } finally {
    await cell.close()
  }
}

async function setUp() {
  const cell = await openCell()
  cell.keys.createManaged('mine')
  for (const name of ['one', 'two']) {
    await cell.buckets.create({ name, owner, acl, location: '', hasObjectLock: false })
  }
  const { store, objects, uploads } = cell
  const put = (key: string, bytes: Uint8Array, encryption: EncryptionWish, bucket = 'one') =>
    objects.put({
      name: { bucket, key },
      attributes,
      body: body(bytes),
      digests: {},
      conditions: {},
      encryption,
      guard,
    })
  const get = async (key: string, given: { readonly customerKey?: Uint8Array } = {}, bucket = 'one') =>
    await bytesOf((await objects.get({ name: { bucket, key }, conditions: {}, guard, ...given })).bytes)
  const upload = async (key: string, encryption: EncryptionWish) => {
    const name = { bucket: 'one', key }
    const { id } = await uploads.create({ name, attributes, initiator: owner, encryption })
    const parts = []
    for (const number of [1, 2]) {
      const bytes = Buffer.alloc(partBytes, `part ${number} of ${key} `)
      const request = { name, uploadId: id, number, body: body(bytes), digests: {}, ...keyFor(encryption) }
      parts.push({ number, etag: (await uploads.putPart(request)).etag })
    }
    await uploads.complete({ name, uploadId: id, parts, conditions: {}, guard, ...keyFor(encryption) })
  }
  const bucketId = async (name: string) => (await cell.buckets.get(name)).id
  /** What someone could do who can write the metadata, but has no key. */
  const tamper = async (change: (current: ObjectVersion) => ObjectVersion, key: string) => {
    const row = rows.current(await bucketId('one'), key)
    await store.transact(async (transaction) => {
      const version = decodeVersion((await transaction.get(row)) ?? new Uint8Array(0))
      assert.equal(version.kind, 'object')
      transaction.set(row, encodeVersion(change(version as ObjectVersion)))
    })
  }
  const swapRows = (one: Uint8Array, other: Uint8Array) =>
    store.transact(async (transaction) => {
      const [first, second] = [await transaction.get(one), await transaction.get(other)]
      assert.ok(first !== undefined && second !== undefined)
      transaction.set(one, second)
      transaction.set(other, first)
    })
  return { ...cell, put, get, upload, bucketId, tamper, swapRows }
}

const isTampered = (error: unknown): boolean => error instanceof ContentTampered
const isRefused = (error: unknown): boolean => error instanceof Fault && error.code === 'InvalidRequest'

test('N2: records that change places are not read, and give nothing', () =>
  withCell(async ({ put, get, bucketId, swapRows }) => {
    const bucket = await bucketId('one')
    for (const wish of wishes) {
      for (const [bytes, other] of [
        [small, Buffer.from('twelve bitez')],
        [large, Buffer.alloc(large.length, 'x')],
      ] as const) {
        await put('a', bytes, wish)
        await put('b', other, wish)
        assert.ok(bytes.equals(await get('a', keyFor(wish))))
        await swapRows(rows.current(bucket, 'a'), rows.current(bucket, 'b'))
        if (bytes === small) await swapRows(rows.inline(bucket, 'a', 0n), rows.inline(bucket, 'b', 0n))
        await assert.rejects(get('a', keyFor(wish)), isTampered)
        await assert.rejects(get('b', keyFor(wish)), isTampered)
      }
    }
  }))

test('N2: bytes beside records, sizes, ETags and blobs that are exchanged are not read', () =>
  withCell(async ({ put, get, bucketId, swapRows, tamper }) => {
    const bucket = await bucketId('one')
    const wish = wishes[0] as EncryptionWish
    await put('a', small, wish)
    await put('b', Buffer.from('twelve bitez'), wish)
    await swapRows(rows.inline(bucket, 'a', 0n), rows.inline(bucket, 'b', 0n))
    await assert.rejects(get('a'), isTampered)
    const { version } = await put('c', large, wish)
    const { version: other } = await put('d', large, wish)
    const changes: readonly ((of: ObjectVersion) => ObjectVersion)[] = [
      (of) => ({ ...of, size: of.size - 1 }),
      (of) => ({ ...of, etag: '0'.repeat(32) }),
      (of) => ({ ...of, stamp: of.stamp + 1n }),
      (of) => ({ ...of, content: other.content }),
      (of) => ({ ...of, ...(other.encryption !== undefined && { encryption: other.encryption }) }),
    ]
    for (const change of changes) {
      await tamper(change, 'c')
      await assert.rejects(get('c'), isTampered, String(change))
      await tamper(() => version, 'c')
      assert.ok(large.equals(await get('c')))
    }
  }))

test('N2: parts that change places are not read', () =>
  withCell(async ({ upload, get, store, objects }) => {
    for (const wish of wishes) {
      await upload('a', wish)
      assert.equal((await get('a', keyFor(wish))).length, 2 * partBytes)
      const { version } = await objects.find({ name: { bucket: 'one', key: 'a' }, guard })
      assert.equal(version.content.kind, 'manifest')
      const blob = version.content.kind === 'manifest' ? version.content.blob : ''
      const row = rows.manifest(blob, 0)
      await store.transact(async (transaction) => {
        const page = Buffer.from((await transaction.get(row)) ?? [])
        // The blobs' ids: the parts are of one size, and one form.
        const ids = (
          await objects.parts({ name: { bucket: 'one', key: 'a' }, guard, after: 0, limit: 2, ...keyFor(wish) })
        ).parts
        const [first, second] = ids.map((part) => page.indexOf(Buffer.from(part.blob, 'hex')))
        assert.ok(first !== undefined && second !== undefined && first > 0 && second > 0)
        const kept = Buffer.from(page.subarray(first, first + 16))
        page.copyWithin(first, second, second + 16)
        kept.copy(page, second)
        transaction.set(row, page)
      })
      await assert.rejects(get('a', keyFor(wish)), isTampered)
    }
  }))

test('N2: a copy or a rename of what was changed is refused, not sealed anew', () =>
  withCell(async ({ put, get, tamper, objects }) => {
    const wish = { kind: 'SSE-S3' } as const
    await put('a', large, wish)
    const source = { name: { bucket: 'one', key: 'a' }, guard, conditions: {} }
    const copy = () =>
      objects.copy({
        source,
        name: { bucket: 'one', key: 'b' },
        attributes: () => attributes,
        encryption: wish,
        conditions: {},
        guard,
      })
    const rename = () =>
      objects.rename({
        source: source.name,
        target: { bucket: 'one', key: 'c' },
        conditions: {},
        sourceConditions: {},
        guard,
        sourceGuard: guard,
      })
    const copied = await copy()
    assert.ok(large.equals(await get('b')))
    const { version } = await objects.find(source)
    assert.deepEqual(copied.version.content, version.content)
    await tamper((of) => ({ ...of, size: of.size - 1 }), 'a')
    await assert.rejects(copy(), isTampered)
    await assert.rejects(rename(), isTampered)
    await tamper(() => version, 'a')
    await rename()
    assert.ok(large.equals(await get('c')))
  }))

test("N1: a data key of another bucket's does not unwrap, nor with another KMS key, context or customer's key", () =>
  withCell(async ({ put, get, tamper, keys }) => {
    keys.createManaged('yours')
    const wish: EncryptionWish = { kind: 'SSE-KMS', keyId: 'mine', hasBucketKey: false, context: 'e30=' }
    const { version } = await put('a', large, wish)
    const { version: there } = await put('a', large, wish, 'two')
    const { encryption } = version
    assert.ok(encryption?.kind === 'SSE-KMS' && there.encryption !== undefined)
    for (const other of [
      { ...encryption, wrapped: there.encryption.wrapped },
      { ...encryption, keyId: 'yours' },
      { ...encryption, context: 'e31=' },
    ]) {
      await tamper((of) => ({ ...of, encryption: other }), 'a')
      await assert.rejects(get('a'), isTampered)
    }
    await put('c', large, { kind: 'SSE-C', key: customerKey })
    assert.ok(large.equals(await get('c', { customerKey })))
    await assert.rejects(get('c', { customerKey: Buffer.alloc(32, 6) }), isRefused)
    await assert.rejects(get('c'), isRefused)
    await tamper(() => version, 'a')
    await assert.rejects(get('a', { customerKey }), isRefused)
  }))

test("N1: another bucket's data key does not even unwrap, whatever the scheme", () =>
  withCell(async ({ foundation }) => {
    for (const wish of wishes) {
      const { wrapped, plain } = await makeContentKey(foundation, 1, wish)
      const given = wish.kind === 'SSE-C' ? customerKey : undefined
      assert.deepEqual((await openContentKey(foundation, 1, wrapped, given)).plain, plain)
      const isClosed = wish.kind === 'SSE-C' ? isRefused : isTampered
      await assert.rejects(openContentKey(foundation, 2, wrapped, given), isClosed)
    }
  }))

test('N2: a seal is over every part: its number, its size, its blob, and how many there are', () =>
  withCell(async ({ foundation }) => {
    const contentKey = await makeContentKey(foundation, 1, { kind: 'SSE-S3' })
    const part = (number: number) => ({ number, size: 5, etag: '', blob: `${number}`.repeat(32), modified: 0 })
    const parts = [part(1), part(2)] as const
    const content = { kind: 'manifest', blob: 'ab'.repeat(16), parts: 2 } as const
    const sealed = { key: 'k', stamp: 7n, size: 10, etag: 'e', content, parts }
    const encryption = sealedBy(contentKey, sealed)
    checkSeal(contentKey, encryption, sealed)
    const [first, second] = parts
    for (const other of [
      [second, first],
      [first],
      [first, second, part(3)],
      [first, { ...second, blob: '3'.repeat(32) }],
      [first, { ...second, number: 3 }],
      [
        { ...first, size: 4 },
        { ...second, size: 6 },
      ],
    ]) {
      assert.throws(() => checkSeal(contentKey, encryption, { ...sealed, parts: other }), ContentTampered)
    }
  }))
