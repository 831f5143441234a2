import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BucketCells } from '#src/cluster/bucket-cells.ts'
import { FeedCourse, follow, nextRequest } from '#src/cluster/feed-following.ts'
import { askHeads, feedMethods } from '#src/cluster/feed-methods.ts'
import { applyPage, readPage } from '#src/cluster/feed-pages.ts'
import { decodeFeedAnswer, encodeFeedAnswer, encodeFeedRequest, type FeedRequest } from '#src/cluster/page-codec.ts'
import { type Method, PeerUnreachable, type Transport } from '#src/cluster/transport.ts'
import { readManifest } from '#src/metadata/blob-records.ts'
import { feedStart, readCursor } from '#src/metadata/cursors.ts'
import { partitionOf, partitions } from '#src/metadata/keyspace.ts'
import type { Member, Membership } from '#src/model/region.ts'
import type { Store, Transaction } from '#src/store/store.ts'
import { realWorld } from '#src/world.ts'
import { acl, attributes, body, owner } from '../service/cell.ts'
import { bucketId, bucketName, type Cell, openPeer, peerOf, replicatedRows, setVersioning } from './merging-cells.ts'

const start = 1_767_225_600_000_000
const guard = () => {}
const limits = { bytes: 1_000_000, wait: 0 }
const { signal } = new AbortController()

/** Straight to the cells named, as if there were a network. */
function transportTo(cells: readonly Cell[], asking: Cell, more: Partial<Parameters<typeof feedMethods>[0]> = {}) {
  const asked: string[] = []
  const methods = new Map<string, Method>()
  for (const cell of cells) {
    const server = { ...cell.source, world: cell.foundation.world, ...more }
    for (const method of feedMethods(server)) methods.set(`${cell.number} ${method.name}`, method)
  }
  const transport: Transport = {
    async ask(cell, name, request, abort) {
      asked.push(`${cell} ${name}`)
      const method = methods.get(`${cell} ${name}`)
      if (method === undefined) throw new PeerUnreachable(cell)
      const caller = { ...peerOf(asking), region: asking.foundation.region }
      return await (method.answer(request, caller, abort) as Promise<Uint8Array>)
    },
    stream: () => {
      throw new Error('nothing here streams')
    },
  }
  return { transport, asked }
}

const put = (cell: Cell, key: string, size: number, bucket = bucketName) =>
  cell.objects.put({
    name: { bucket, key },
    attributes: { ...attributes, tags: new Map([['k', key]]), metadata: new Map([['m', 'ö']]) },
    body: body(Buffer.alloc(size, key)),
    digests: {},
    guard,
    conditions: {},
  })

async function inParts(cell: Cell, key: string): Promise<void> {
  const name = { bucket: bucketName, key }
  const upload = await cell.uploads.create({ name, attributes, initiator: owner })
  const part = { name, uploadId: upload.id, digests: {} }
  const sizes = [5 * 2 ** 20, 7]
  const parts = []
  for (const [index, size] of sizes.entries()) {
    const { etag } = await cell.uploads.putPart({ ...part, number: index + 1, body: body(Buffer.alloc(size, 'p')) })
    parts.push({ number: index + 1, etag })
  }
  await cell.uploads.complete({ name, uploadId: upload.id, parts, conditions: {}, guard })
}

async function withTwo(run: (one: Cell, other: Cell) => Promise<void>): Promise<void> {
  const [one, other] = [await openPeer(1, start), await openPeer(2, start)]
  try {
    await run(one, other)
  } finally {
    await one.close()
    await other.close()
  }
}

async function withThree(run: (one: Cell, other: Cell, third: Cell) => Promise<void>): Promise<void> {
  const third = await openPeer(3, start)
  try {
    await withTwo((one, other) => run(one, other, third))
  } finally {
    await third.close()
  }
}

test('C14 C17: one request for all partitions tells everything: small objects, blobs, objects in parts, markers, removals', () =>
  withTwo(async (one, other) => {
    await setVersioning(one, 'enabled')
    await put(one, 'small', 5)
    await put(one, 'large', 100)
    await put(one, 'gone', 5)
    await one.objects.delete({
      name: { bucket: bucketName, key: 'gone' },
      guard,
      conditions: {},
      bypassGovernance: false,
      caller: owner,
    })
    const removed = await put(one, 'removed', 100)
    await one.objects.delete({
      name: { bucket: bucketName, key: 'removed' },
      versionId: removed.versionId ?? '',
      guard,
      conditions: {},
      bypassGovernance: false,
      caller: owner,
    })
    await inParts(one, 'parts')
    const { transport, asked } = transportTo([one], other)
    const followed = await follow(other.target, transport, peerOf(one), limits, signal)
    assert.deepEqual(followed, { received: 6, written: 6, conflicts: 0, hasMore: false, incarnation: 'incarnation-1' })
    assert.deepEqual(asked, ['1 feed'])
    assert.deepEqual(await replicatedRows(other), await replicatedRows(one))
    const { version } = await other.objects.find({ name: { bucket: bucketName, key: 'parts' }, guard })
    assert.ok(version.content.kind === 'manifest')
    const { blob } = version.content
    const manifests = await Promise.all(
      [one, other].map((cell) => cell.store.snapshot((from) => readManifest(from, blob))),
    )
    assert.equal(manifests[0]?.length, 2)
    assert.deepEqual(manifests[1], manifests[0])
    const again = await follow(other.target, transport, peerOf(one), limits, signal)
    assert.equal(again.received, 0)
    const { heads } = await askHeads(transport, one.number, signal)
    const { cursors } = await nextRequest(other.target, peerOf(one), limits)
    assert.deepEqual(
      cursors.map((each) => Buffer.from(each)),
      heads.map((each) => Buffer.from(each)),
    )
  }))

test('F4: a page that was written and read is the same', () =>
  withTwo(async (one) => {
    for (const key of ['a', 'b', 'c', 'd', 'e\0ö']) await put(one, key, key === 'c' ? 100 : 5)
    const request = { after: feedStart, bytes: 1_000_000, entries: 100, forCell: 2 }
    const pages = []
    for (let partition = 0; partition < partitions; partition++) {
      pages.push(await readPage(one.source, { ...request, partition }))
    }
    assert.equal(
      pages.reduce((sum, { items }) => sum + items.length, 0),
      5,
    )
    const answer = { incarnation: one.source.incarnation, pages }
    const read = decodeFeedAnswer(encodeFeedAnswer(answer))
    assert.deepEqual(encodeFeedAnswer(read), encodeFeedAnswer(answer))
    assert.deepEqual(
      read.pages.map(({ items }) => items.map(({ record }) => record)),
      pages.map(({ items }) => items.map(({ record }) => record)),
    )
  }))

test('F4: pages end at their limits, and go on from there', () =>
  withTwo(async (one, other) => {
    for (let index = 0; index < 200; index++) await put(one, `k${index}`, 10)
    const { transport } = transportTo([one], other)
    let rounds = 0
    for (let hasMore = true; hasMore; rounds++) {
      const followed = await follow(other.target, transport, peerOf(one), { bytes: 16_000, wait: 0 }, signal)
      hasMore = followed.hasMore || followed.received > 0
      assert.ok(followed.received < 100)
    }
    assert.ok(rounds > 3)
    assert.deepEqual(await replicatedRows(other), await replicatedRows(one))
  }))

test('F3 C15: a cell that was born again is followed from the start', () =>
  withTwo(async (one, other) => {
    await put(one, 'a', 5)
    const { transport } = transportTo([one], other)
    await follow(other.target, transport, peerOf(one), limits, signal)
    const reborn = { ...one, source: { ...one.source, incarnation: 'second' } }
    const { transport: second } = transportTo([reborn], other)
    const followed = await follow(other.target, second, peerOf(one), limits, signal)
    assert.equal(followed.incarnation, 'second')
    assert.deepEqual({ received: followed.received, written: followed.written }, { received: 1, written: 0 })
    const next = await follow(other.target, second, peerOf(reborn), limits, signal)
    assert.equal(next.received, 0)
  }))

test('F9: a cell is not told what it told; it is as another incarnation, and others are', () =>
  withThree(async (one, other, third) => {
    const told = async (teller: Cell, asking: Cell): Promise<number> => {
      const { transport } = transportTo([teller], asking)
      return (await follow(asking.target, transport, peerOf(teller), limits, signal)).received
    }
    await setVersioning(one, 'enabled')
    await put(one, 'a', 5)
    await put(one, 'a', 100)
    await setVersioning(one, 'suspended')
    await put(one, 'gone', 100)
    const gone = { name: { bucket: bucketName, key: 'gone' }, guard, conditions: {} }
    await one.objects.delete({ ...gone, versionId: 'null', bypassGovernance: false, caller: owner })
    assert.equal(await told(one, other), 3)
    await put(other, 'b', 5)
    assert.equal(await told(other, one), 1, 'its own three are left out')
    assert.equal(await told(one, other), 0)
    assert.equal(await told(other, third), 4, 'as if the first were gone')
    assert.deepEqual(await replicatedRows(third), await replicatedRows(other))
    const reborn = { ...one, source: { ...one.source, incarnation: 'second' } }
    const { transport } = transportTo([other], reborn)
    const start = { incarnation: other.source.incarnation, cursors: new Array<Uint8Array>(partitions).fill(feedStart) }
    const answer = await transport.ask(2, 'feed', encodeFeedRequest({ ...start, heads: [], ...limits }), signal)
    const all = decodeFeedAnswer(answer).pages.flatMap(({ items }) => items)
    assert.equal(all.length, 4)
  }))

test('F9: what was merged with what a cell told is told to it', () =>
  withTwo(async (one, other) => {
    await put(one, 'k', 5)
    await put(other, 'k', 6)
    const { transport: toOne } = transportTo([one], other)
    const { transport: toOther } = transportTo([other], one)
    await follow(other.target, toOne, peerOf(one), limits, signal)
    await follow(one.target, toOther, peerOf(other), limits, signal)
    await follow(other.target, toOne, peerOf(one), limits, signal)
    assert.deepEqual(await replicatedRows(one), await replicatedRows(other))
    assert.equal((await replicatedRows(one)).filter((row) => row.startsWith('conflict')).length, 1)
  }))

test('F9: of a bucket that changes its cells, all is told to everybody: who told it may have let go of it since', () =>
  withTwo(async (one, other) => {
    const membership: Membership = { epoch: 1, root: 1, members: [member(1), member(2)] }
    const row = await one.store.snapshot((from) => one.foundation.namespace.existingBucket(from, bucketName))
    const moving = { ...row, move: { step: 'fenced', other: 'r2', epoch: row.epoch, since: 0 } }
    const namespace = {
      largestBucketId: async () => bucketId,
      buckets: async () => [moving],
      bucket: async () => moving,
    }
    const cells = new BucketCells(namespace as never, () => membership)
    const { transport } = transportTo([one, other], one)
    const toOther = transportTo([one], other).transport
    await put(one, 'a', 5)
    await follow({ ...other.target, cells }, toOther, peerOf(one), limits, signal)
    await put(one, 'b', 5)
    await follow(other.target, toOther, peerOf(one), limits, signal)
    assert.equal((await follow(one.target, transport, peerOf(other), limits, signal)).received, 1)
  }))

test('F9: a cell that is told nothing but its own hears how far it is after a while, and of news at once', () =>
  withTwo(async (one, other) => {
    const { transport } = transportTo([one], other)
    const { transport: back } = transportTo([other], one, { world: realWorld })
    const waiting = { ...limits, wait: 20_000 }
    await put(one, 'a', 5)
    await follow(other.target, transport, peerOf(one), limits, signal)
    const began = performance.now()
    const course = new FeedCourse()
    const passed = await follow(one.target, back, peerOf(other), waiting, signal, course)
    assert.equal(passed.received, 0)
    assert.ok(performance.now() - began >= 200, 'not at once')
    const partition = partitionOf(bucketId, 'a')
    const reached = course.known.get(partition)?.to
    assert.deepEqual(reached, (await askHeads(back, 2, signal)).heads[partition])
    await put(one, 'c', 5)
    await follow(other.target, transport, peerOf(one), limits, signal)
    const news = follow(one.target, back, peerOf(other), waiting, signal, course)
    await put(other, 'b', 5)
    assert.equal((await news).received, 1)
    assert.ok(performance.now() - began < 15_000)
  }))

test('F2 F9: what another cell told is told on a while later, or at once with what is written here', () =>
  withThree(async (one, other, third) => {
    const { transport } = transportTo([one], other)
    const { transport: onward } = transportTo([other], third, { world: realWorld })
    const waiting = { ...limits, wait: 20_000 }
    const told = () => follow(third.target, onward, peerOf(other), waiting, signal)
    await put(one, 'a', 5)
    await follow(other.target, transport, peerOf(one), limits, signal)
    const began = performance.now()
    assert.equal((await told()).received, 1, 'as if the first were gone')
    const took = performance.now() - began
    assert.ok(took >= 200 && took < 15_000, `after ${took} ms`)
    await put(one, 'b', 5)
    await follow(other.target, transport, peerOf(one), limits, signal)
    const both = told()
    await put(other, 'c', 5)
    assert.equal((await both).received, 2)
    assert.deepEqual(await replicatedRows(third), await replicatedRows(other))
  }))

const member = (cell: number): Member => ({
  region: `r${cell}`,
  geography: '',
  cell,
  incarnation: `incarnation-${cell}`,
  peer: '',
  state: 'active',
})

test('F6 C17: what a cell must not have is left out, and does not hold up what it must', () =>
  withTwo(async (one, other) => {
    const membership: Membership = { epoch: 1, root: 1, members: [member(1), member(2)] }
    await one.buckets.create({ name: 'only-one', owner, acl, location: 'r1', hasObjectLock: false })
    await put(one, 'a', 5)
    for (let index = 0; index < 40; index++) await put(one, `secret${index}`, 5, 'only-one')
    await put(one, 'b', 5)
    const cells = new BucketCells(one.foundation.namespace, () => membership)
    const { transport } = transportTo([one], other, { cells })
    const followed = await follow(other.target, transport, peerOf(one), limits, signal)
    assert.equal(followed.received, 2)
    const { heads } = await askHeads(transport, one.number, signal)
    const { cursors } = await nextRequest(other.target, peerOf(one), limits)
    assert.deepEqual(
      cursors.map((each) => Buffer.from(each)),
      heads.map((each) => Buffer.from(each)),
    )
  }))

test('F6: records of a bucket that is not known yet wait for it; of one that is gone, nobody does', () =>
  withTwo(async (one, other) => {
    const membership: Membership = { epoch: 1, root: 1, members: [member(1), member(2)] }
    const cells = new BucketCells(one.foundation.namespace, () => membership)
    await one.buckets.create({ name: 'later', owner, acl, location: '', hasObjectLock: false })
    await put(one, 'x', 5, 'later')
    const row = await one.store.snapshot((from) => one.foundation.namespace.existingBucket(from, 'later'))
    const source = { ...one.source, cells }
    const partition = partitionOf(row.id, 'x')
    const page = () =>
      readPage(source, { partition, after: feedStart, bytes: 1e6, entries: 100, forCell: other.number })
    const hidden = { largestBucketId: async () => bucketId, buckets: async () => [], bucket: async () => undefined }
    const unknowing = new BucketCells(hidden as never, () => membership)
    const waiting = await readPage(
      { ...source, cells: unknowing },
      { partition, after: feedStart, bytes: 1e6, entries: 100, forCell: other.number },
    )
    assert.deepEqual([waiting.items.length, waiting.to, waiting.hasMore], [0, feedStart, false])
    assert.equal((await page()).items.length, 1)
    await one.store.transact(async (transaction) => one.foundation.namespace.removeBucket(transaction, row))
    const after = await page()
    assert.equal(after.items.length, 0)
    assert.notDeepEqual(after.to, feedStart)
  }))

test('C10: a request says how far its cell is, and where its own feed ends', () =>
  withTwo(async (one, other) => {
    await put(one, 'a', 5)
    await put(other, 'b', 5)
    const told: FeedRequest[] = []
    const passed = async (_: unknown, request: FeedRequest) => {
      told.push(request)
    }
    const { transport } = transportTo([one], other, { passed })
    await follow(other.target, transport, peerOf(one), limits, signal)
    await follow(other.target, transport, peerOf(one), limits, signal)
    const [first, second] = told
    assert.ok(first !== undefined && second !== undefined)
    const partition = partitionOf(bucketId, 'a')
    assert.deepEqual(Buffer.from(first.cursors[partition] ?? []), Buffer.from(feedStart))
    assert.notDeepEqual(Buffer.from(second.cursors[partition] ?? []), Buffer.from(feedStart))
    assert.notDeepEqual(Buffer.from(first.heads[partitionOf(bucketId, 'b')] ?? []), Buffer.from(feedStart))
    assert.deepEqual(encodeFeedRequest(first).length > 12 * 2 * partitions, true)
  }))

/** Until the cell has nothing more to tell, page by page; `rounds` of them at most. */
async function followAll(one: Cell, other: Cell, transport: Transport, rounds = 100): Promise<number> {
  const course = new FeedCourse()
  let received = 0
  for (let round = 0; round < rounds; round++) {
    const followed = await follow(other.target, transport, peerOf(one), { bytes: 16_000, wait: 0 }, signal, course)
    received += followed.received
    if (!followed.hasMore && followed.received === 0) return received
  }
  throw new Error('there is no end')
}

test('C10: what is asked for while pages are applied begins where they end, and none of it counts as applied', () =>
  withTwo(async (one, other) => {
    for (let index = 0; index < 200; index++) await put(one, `k${index}`, 10)
    const applied = () =>
      other.store.snapshot((from) =>
        Promise.all(
          Array.from({ length: partitions }, (_, partition) => readCursor(from, { ...peerOf(one), partition })),
        ),
      )
    let aheads = 0
    const passed = async (_: unknown, { cursors, behind }: FeedRequest) => {
      const standing = await applied()
      for (const [partition, cursor] of cursors.entries()) {
        const least = standing[partition] ?? feedStart
        assert.ok(Buffer.compare(cursor, least) <= 0, 'a request says that more is applied than there is')
      }
      if (behind?.some((each, at) => Buffer.compare(each, cursors[at] ?? feedStart) > 0)) aheads++
    }
    const { transport, asked } = transportTo([one], other, { passed })
    assert.equal(await followAll(one, other, transport), 200, 'each record comes once')
    assert.ok(aheads > 2)
    assert.ok(asked.length < 30)
    assert.deepEqual(await replicatedRows(other), await replicatedRows(one))
  }))

const writing: readonly (string | symbol)[] = ['set', 'clear', 'clearRange', 'add', 'append', 'setStamped']

/** Tells of the first thing that is written. */
const watched = (transaction: Transaction, wrote: () => void): Transaction =>
  new Proxy(transaction, {
    get(inner, name) {
      if (writing.includes(name)) wrote()
      const found: unknown = Reflect.get(inner, name, inner)
      return typeof found === 'function' ? found.bind(inner) : found
    },
  })

/** A cell whose store counts its commits. */
function counted(cell: Cell): { readonly target: Cell['target']; commits(): number } {
  const { store } = cell.foundation
  let commits = 0
  const counting: Store = {
    snapshot: store.snapshot.bind(store),
    watch: store.watch.bind(store),
    close: store.close.bind(store),
    transact: async (body) => {
      let isWritten = false
      const wrote = (): void => {
        isWritten = true
      }
      const result = await store.transact((transaction) => body(watched(transaction, wrote)))
      if (isWritten) commits++
      return result
    },
  }
  return { target: { ...cell.target, foundation: { ...cell.foundation, store: counting } }, commits: () => commits }
}

const cursorsOf = async (cell: Cell, of: Cell) => (await nextRequest(cell.target, peerOf(of), limits)).cursors

test('F8 C10: what comes once more, from another cell, costs no commit, and the cursors follow, with the next that is new or by themselves', () =>
  withThree(async (writer, other, one) => {
    const passed = async ({ cell }: { readonly cell: number }, { cursors }: FeedRequest) => {
      if (cell !== one.number) return
      for (const [at, cursor] of (await cursorsOf(one, other)).entries()) {
        const said = cursors[at] ?? feedStart
        assert.ok(Buffer.compare(said, cursor) <= 0, 'a request says that more is applied than there is')
      }
    }
    const { transport } = transportTo([one, other], one, { passed })
    const course = new FeedCourse()
    for (let index = 0; index < 50; index++) await put(writer, `k${index}`, 10)
    for (const cell of [other, one]) {
      await follow(cell.target, transportTo([writer], cell).transport, peerOf(writer), limits, signal)
    }
    const { target, commits } = counted(one)
    const round = (wait = 0) => follow(target, transport, peerOf(other), { bytes: 1e6, wait }, signal, course)
    const before = await cursorsOf(one, other)
    assert.deepEqual([(await round()).received, commits()], [50, 0])
    assert.deepEqual(await cursorsOf(one, other), before, 'nothing counts as passed yet')
    assert.equal((await round()).received, 0, 'but it is not asked for again')
    // Something new: the cursor of its partition moves over the echoes too, and only that one.
    await put(other, 'k7', 10)
    assert.equal((await round()).written, 1)
    const { heads } = await askHeads(transport, other.number, signal)
    const partition = partitionOf(bucketId, 'k7')
    const moved = (await cursorsOf(one, other)).flatMap((each, at) =>
      Buffer.compare(each, before[at] ?? feedStart) === 0 ? [] : [at],
    )
    assert.deepEqual(moved, [partition])
    assert.deepEqual(Buffer.from((await cursorsOf(one, other))[partition] ?? []), Buffer.from(heads[partition] ?? []))
    // The others, while it waits for more: here time goes by itself.
    await round(5)
    assert.deepEqual(
      (await cursorsOf(one, other)).map((each) => Buffer.from(each)),
      heads.map((each) => Buffer.from(each)),
    )
    assert.deepEqual(await replicatedRows(one), await replicatedRows(other))
  }))

test('F5 C10: of an answer, that is applied whose cursor nobody has moved meanwhile', () =>
  withTwo(async (one, other) => {
    for (let index = 0; index < 50; index++) await put(one, `k${index}`, 10)
    const { transport } = transportTo([one], other)
    const partition = partitionOf(bucketId, 'k7')
    const inIt = Array.from({ length: 50 }, (_, index) => `k${index}`).filter(
      (key) => partitionOf(bucketId, key) === partition,
    )
    const late: Transport = {
      ...transport,
      async ask(...asked) {
        const answer = await transport.ask(...asked)
        // Another process of the cell is faster with one of its pages.
        const request = { partition, after: feedStart, bytes: 1e6, entries: 100, forCell: other.number }
        await applyPage(other.target, peerOf(one), await readPage(one.source, request))
        return answer
      },
    }
    const course = new FeedCourse()
    const { received, written } = await follow(other.target, late, peerOf(one), limits, signal, course)
    assert.deepEqual([received, written], [50 - inIt.length, 50 - inIt.length])
    assert.equal((await follow(other.target, transport, peerOf(one), limits, signal, course)).received, 0)
    assert.deepEqual(await replicatedRows(other), await replicatedRows(one))
  }))

test('C10: where a cell is with its own feed is told at first, and now and then', () => {
  const course = new FeedCourse(5_000)
  assert.deepEqual(
    [0, 1, 4_999, 5_000, 5_001].map((now) => course.tellsHeads(now)),
    [true, false, false, true, false],
  )
  course.forget()
  assert.equal(course.tellsHeads(5_002), true)
})

test('F8 C10: echoes count for nothing where somebody else has moved the cursor', () =>
  withTwo(async (one, other) => {
    const { transport } = transportTo([one, other], other)
    const course = new FeedCourse()
    for (let index = 0; index < 50; index++) await put(one, `k${index}`, 10)
    await follow(other.target, transport, peerOf(one), limits, signal)
    await follow(one.target, transport, peerOf(other), limits, signal, course)
    await put(other, 'k7', 10)
    // Another process of the cell, which does not know of the echoes.
    assert.equal((await follow(one.target, transport, peerOf(other), limits, signal)).received, 50)
    await put(other, 'k8', 10)
    assert.equal((await follow(one.target, transport, peerOf(other), limits, signal, course)).received, 1)
    const cursors = await cursorsOf(one, other)
    await course.settle(one.target, peerOf(other))
    assert.deepEqual(await cursorsOf(one, other), cursors, 'none goes back')
    assert.deepEqual(await replicatedRows(one), await replicatedRows(other))
  }))

test('C10: what was asked for ahead of pages that were not applied is asked for again', () =>
  withTwo(async (one, other) => {
    for (let index = 0; index < 200; index++) await put(one, `k${index}`, 10)
    const { transport } = transportTo([one], other)
    const { store } = other.foundation
    let isFailing = true
    const failing = {
      ...store,
      snapshot: store.snapshot.bind(store),
      transact: <T>(body: (transaction: Transaction) => Promise<T>): Promise<T> =>
        isFailing ? Promise.reject(new Error('no room')) : store.transact(body),
    }
    const target = { ...other.target, foundation: { ...other.foundation, store: failing } }
    const course = new FeedCourse()
    const round = () => follow(target, transport, peerOf(one), { bytes: 16_000, wait: 0 }, signal, course)
    await assert.rejects(round(), /no room/)
    isFailing = false
    assert.ok((await round()).received > 0)
    assert.ok((await followAll(one, other, transport)) > 0)
    assert.deepEqual(await replicatedRows(other), await replicatedRows(one))
  }))

test('a request waits for something to tell, and no longer than it asked for', () =>
  withTwo(async (one, other) => {
    const { transport } = transportTo([one], other, { world: realWorld })
    let isAnswered = false
    const waiting = follow(other.target, transport, peerOf(one), { bytes: 1e6, wait: 20_000 }, signal).then(
      (followed) => {
        isAnswered = true
        return followed
      },
    )
    await new Promise((resolve) => setTimeout(resolve, 50))
    assert.equal(isAnswered, false)
    await put(one, 'a', 5)
    assert.equal((await waiting).received, 1)
    assert.equal((await follow(other.target, transport, peerOf(one), { bytes: 1e6, wait: 30 }, signal)).received, 0)
    const aborting = new AbortController()
    const cut = follow(other.target, transport, peerOf(one), { bytes: 1e6, wait: 20_000 }, aborting.signal)
    aborting.abort(new Error('stop'))
    await assert.rejects(cut)
  }))

test('F2: a request that waits is answered by the watch of the feed, and not by the next look', () =>
  withTwo(async (one, other) => {
    // A wait for time has no end.
    const world = { ...realWorld, sleep: () => new Promise<void>(() => {}) }
    const { transport } = transportTo([one], other, { world })
    await put(one, 'first', 5)
    await follow(other.target, transport, peerOf(one), limits, signal)
    for (const key of ['a', 'b', 'c']) {
      const waiting = follow(other.target, transport, peerOf(one), { bytes: 1e6, wait: 20_000 }, signal)
      await put(one, key, 5)
      assert.equal((await waiting).received, 1)
    }
  }))
