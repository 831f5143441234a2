import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ListedVersion } from '#src/service/listing-services.ts'
import { CellListings } from '#src/service/listings.ts'
import { acl, attributes, body, openCell, owner } from './cell.ts'

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

/** Dense in delimiters and in what comes right behind them; with NUL, and characters whose order in UTF-16 is not that of UTF-8. */
const letter = fc.constantFrom('a', 'b', '/', '0', '\0', '\uffff', '\u{10000}')
const key = fc.string({ unit: letter, minLength: 1, maxLength: 4 })
const scope = fc.record(
  { prefix: fc.string({ unit: letter, maxLength: 2 }), delimiter: fc.constantFrom('', '/', '/', '//', '\0', 'a') },
  { noNullPrototype: true },
)

const action = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('put' as const), key }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('delete' as const), pick: fc.nat(9) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('again' as const), pick: fc.nat(9) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('remove' as const), pick: fc.nat(30) }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'enabled' as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'suspended' as const }) },
)

interface Known {
  readonly key: string
  readonly id: string
  readonly isMarker: boolean
}

const guard = () => undefined
const conditions = {}

type Cell = Awaited<ReturnType<typeof openCell>>

/** A bucket, and beside it what S3 says it holds: each key's versions, newest first. */
class Mirror {
  readonly #cell: Cell
  readonly #bucket: string
  readonly keys = new Map<string, Known[]>()
  #isVersioned = false

  constructor(cell: Cell, bucket: string) {
    this.#cell = cell
    this.#bucket = bucket
  }

  get all(): Known[] {
    return [...this.keys].sort(([a], [b]) => byBytes(a, b)).flatMap(([, versions]) => versions)
  }

  get current(): string[] {
    const standing = [...this.keys].filter(([, versions]) => versions[0]?.isMarker === false)
    return standing.map(([each]) => each).sort(byBytes)
  }

  #add(added: Known): void {
    const others = (this.keys.get(added.key) ?? []).filter(({ id }) => added.id !== 'null' || id !== 'null')
    this.keys.set(added.key, [added, ...others])
  }

  async put(name: string): Promise<void> {
    const request = { attributes, body: body(Buffer.from('x')), digests: {}, conditions, guard }
    const { versionId } = await this.#cell.objects.put({ ...request, name: { bucket: this.#bucket, key: name } })
    this.#add({ key: name, id: versionId ?? 'null', isMarker: false })
  }

  async delete(name: string, id?: string): Promise<void> {
    const deleted = await this.#cell.objects.delete({
      name: { bucket: this.#bucket, key: name },
      ...(id !== undefined && { versionId: id }),
      conditions,
      guard,
      bypassGovernance: false,
      caller: owner,
    })
    if (id === undefined && this.#isVersioned) {
      this.#add({ key: name, id: deleted.versionId ?? 'null', isMarker: true })
      return
    }
    const rest = (this.keys.get(name) ?? []).filter((each) => each.id !== (id ?? 'null'))
    if (rest.length === 0) this.keys.delete(name)
    else this.keys.set(name, rest)
  }

  async setVersioning(versioning: 'enabled' | 'suspended'): Promise<void> {
    this.#isVersioned = true
    await this.#cell.buckets.update(this.#bucket, (each) => ({ ...each, versioning }))
  }
}

type Action = typeof action extends fc.Arbitrary<infer Each> ? Each : never

async function act(mirror: Mirror, each: Action): Promise<void> {
  if (each.kind === 'put') return await mirror.put(each.key)
  if (each.kind === 'enabled' || each.kind === 'suspended') return await mirror.setVersioning(each.kind)
  const names = [...mirror.keys.keys()]
  const name = names[each.pick % names.length]
  if (each.kind === 'again' && name !== undefined) return await mirror.put(name)
  if (each.kind === 'delete' && name !== undefined) return await mirror.delete(name)
  const version = mirror.all[each.pick % mirror.all.length]
  if (each.kind === 'remove' && version !== undefined) await mirror.delete(version.key, version.id)
}

/** What is shown of entries in order: those whose key has the delimiter behind the prefix, as their common prefix, once. */
function shown(entries: readonly Known[], { prefix, delimiter }: { prefix: string; delimiter: string }): string[] {
  const lines: string[] = []
  for (const each of entries) {
    if (!each.key.startsWith(prefix)) continue
    const at = delimiter === '' ? -1 : each.key.indexOf(delimiter, prefix.length)
    const line = at < 0 ? lineOf(each) : `${each.key.slice(0, at)}${delimiter}`
    if (at < 0 || lines.at(-1) !== line) lines.push(line)
  }
  return lines
}

const lineOf = ({ key: name, id, isMarker }: Known): string => `${name} ${id}${isMarker ? ' marker' : ''}`

async function pages(
  list: (after: { key: string; version?: string } | undefined) => Promise<{
    readonly lines: readonly string[]
    readonly next: { key: string; version?: string } | undefined
  }>,
): Promise<string[]> {
  const lines: string[] = []
  let after: { key: string; version?: string } | undefined
  do {
    const page = await list(after)
    lines.push(...page.lines)
    after = page.next
  } while (after !== undefined)
  return lines
}

/** Items and prefixes of a page, in the one order that a listing has. */
const merged = (items: readonly (readonly [string, string])[], prefixes: readonly string[]): string[] =>
  [...items, ...prefixes.map((each) => [each, each] as const)].sort(([a], [b]) => byBytes(a, b)).map(([, line]) => line)

async function withBucket(run: (cell: Cell, bucket: string, round: number) => Promise<void>): Promise<void> {
  const cell = await openCell()
  try {
    await run(cell, 'bucket', 0)
  } finally {
    await cell.close()
  }
}

const bucketOf = (name: string) => ({ name, owner, acl, location: '', hasObjectLock: false })

test('listings of objects and versions show what was written, whatever was versioned, suspended and removed between', async () => {
  await withBucket(async (cell) => {
    const listings = new CellListings(cell.foundation)
    let round = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(action, { minLength: 8, maxLength: 60, size: 'max' }),
        scope,
        fc.integer({ min: 1, max: 7 }),
        async (actions, where, limit) => {
          const bucket = `bucket-${round++}`
          await cell.buckets.create(bucketOf(bucket))
          const mirror = new Mirror(cell, bucket)
          for (const each of actions) await act(mirror, each)

          const objects = await pages(async (after) => {
            const page = await listings.objects({ guard, bucket, ...where, limit, ...(after && { after: after.key }) })
            assert.ok(page.items.length + page.prefixes.length <= limit)
            const lines = merged(
              page.items.map((each) => [each.key, `${each.key} `] as const),
              page.prefixes,
            )
            return { lines, next: page.isTruncated ? { key: page.nextKey ?? '' } : undefined }
          })
          const standing = mirror.current.map((each) => ({ key: each, id: '', isMarker: false }))
          assert.deepEqual(objects, shown(standing, where))

          const latest: string[] = []
          const versions = await pages(async (after) => {
            const page = await listings.versions({
              guard,
              bucket,
              ...where,
              limit,
              ...(after && { keyMarker: after.key }),
              ...(after?.version !== undefined && { versionIdMarker: after.version }),
            })
            assert.ok(page.items.length + page.prefixes.length <= limit)
            latest.push(...page.items.filter((each) => each.isLatest).map((each) => each.key))
            const lines = merged(page.items.map(versionLine), page.prefixes)
            const version = page.nextVersionId
            const next = { key: page.nextKey ?? '', ...(version !== undefined && { version }) }
            return { lines, next: page.isTruncated ? next : undefined }
          })
          assert.deepEqual(versions, shown(mirror.all, where))
          const single = [...new Set(mirror.all.map((each) => each.key))]
          assert.deepEqual(
            latest,
            single.filter((each) => shown([{ key: each, id: '', isMarker: false }], where)[0] === `${each} `),
          )
        },
      ),
      { numRuns: 300 },
    )
  })
})

function versionLine({ key: name, version, versionId }: ListedVersion): readonly [string, string] {
  return [name, lineOf({ key: name, id: versionId, isMarker: version.kind === 'marker' })]
}

test('a version marker of `null`, or of a version that is gone, is a place in the order', async () => {
  await withBucket(async (cell, bucket) => {
    const listings = new CellListings(cell.foundation)
    await cell.buckets.create(bucketOf(bucket))
    const mirror = new Mirror(cell, bucket)
    await mirror.put('k')
    await mirror.setVersioning('enabled')
    await mirror.put('k')
    await mirror.put('k')
    await mirror.put('l')
    const [newest, middle, oldest] = mirror.keys.get('k') ?? []
    assert.equal(oldest?.id, 'null')
    const after = async (versionIdMarker: string) => {
      const query = { guard, bucket, prefix: '', delimiter: '', limit: 10, keyMarker: 'k', versionIdMarker }
      return (await listings.versions(query)).items.map((each) => each.versionId)
    }
    const last = mirror.keys.get('l')?.[0]?.id
    assert.deepEqual(await after('null'), [last])
    await mirror.delete('k', middle?.id)
    assert.deepEqual(await after(middle?.id ?? ''), ['null', last])
    assert.deepEqual(await after(newest?.id ?? ''), ['null', last])
    await assert.rejects(after('no-version'), { code: 'InvalidArgument' })
  })
})

test('listings of uploads are in the order of keys, then of their start, and go on behind any of them', async () => {
  await withBucket(async (cell, bucket) => {
    const listings = new CellListings(cell.foundation)
    await cell.buckets.create(bucketOf(bucket))
    const started: string[] = []
    for (const name of ['a/1', 'a/2', 'b', 'b', 'b', 'c/1', 'c/2', 'd']) {
      const upload = await cell.uploads.create({ name: { bucket, key: name }, attributes, initiator: owner })
      started.push(`${name} ${upload.id}`)
    }
    for (const [delimiter, limit] of [
      ['', 1],
      ['', 2],
      ['/', 1],
      ['/', 3],
      ['/', 100],
    ] as const) {
      const seen = await pages(async (after) => {
        const page = await listings.uploads({
          guard,
          bucket,
          prefix: '',
          delimiter,
          limit,
          ...(after && { keyMarker: after.key }),
          ...(after?.version !== undefined && { uploadIdMarker: after.version }),
        })
        const lines = merged(
          page.items.map((each) => [each.name.key, `${each.name.key} ${each.id}`] as const),
          page.prefixes,
        )
        const upload = page.nextUploadId
        const next = { key: page.nextKey ?? '', ...(upload !== undefined && { version: upload }) }
        return { lines, next: page.isTruncated ? next : undefined }
      })
      const whole = delimiter === '' ? started : ['a/', ...started.slice(2, 5), 'c/', ...started.slice(7)]
      assert.deepEqual(seen, whole)
    }
  })
})

test('a version marker is heeded only where its key would be shown', async () => {
  await withBucket(async (cell, bucket) => {
    const listings = new CellListings(cell.foundation)
    await cell.buckets.create(bucketOf(bucket))
    const mirror = new Mirror(cell, bucket)
    await mirror.setVersioning('enabled')
    for (const each of ['a', 'a', 'b/1', 'b/1', 'b/2', 'c', 'c']) await mirror.put(each)
    const list = async (prefix: string, keyMarker: string) => {
      const versionIdMarker = mirror.keys.get(keyMarker)?.[0]?.id ?? ''
      const page = await listings.versions({
        guard,
        bucket,
        prefix,
        delimiter: '/',
        limit: 10,
        keyMarker,
        versionIdMarker,
      })
      return merged(
        page.items.map((each) => [each.key, each.key] as const),
        page.prefixes,
      )
    }
    assert.deepEqual(await list('', 'b/1'), ['c', 'c'])
    assert.deepEqual(await list('b/', 'a'), ['b/1', 'b/1', 'b/2'])
    assert.deepEqual(await list('b/', 'c'), [])
    assert.deepEqual(await list('', 'a'), ['a', 'b/', 'c', 'c'])
  })
})

test('a listing reads what it shows: not what lies under its common prefixes, nor the rest of the bucket', async () => {
  await withBucket(async (cell, bucket) => {
    await cell.buckets.create(bucketOf(bucket))
    const mirror = new Mirror(cell, bucket)
    await mirror.setVersioning('enabled')
    for (const folder of ['a', 'b', 'c', 'd']) {
      for (let index = 0; index < 400; index++) await mirror.put(`${folder}/${index}`)
    }
    let reads = 0
    const counting: Pick<typeof cell.store, 'snapshot'> = {
      snapshot: (run) =>
        cell.store.snapshot((snapshot) =>
          run({
            get: (each) => snapshot.get(each),
            range: async (from, to, options) => {
              const entries = await snapshot.range(from, to, options)
              reads += entries.length
              return entries
            },
          }),
        ),
    }
    const { namespace } = cell.foundation
    const listings = new CellListings({ namespace, store: Object.assign(Object.create(cell.store), counting) })
    const query = { guard, bucket, prefix: '', delimiter: '/', limit: 1000 }
    assert.deepEqual((await listings.objects(query)).prefixes, ['a/', 'b/', 'c/', 'd/'])
    assert.ok(reads < 100, String(reads))
    reads = 0
    assert.deepEqual((await listings.versions(query)).prefixes, ['a/', 'b/', 'c/', 'd/'])
    assert.ok(reads < 200, String(reads))
    reads = 0
    assert.equal((await listings.objects({ ...query, delimiter: '', limit: 10 })).items.length, 10)
    assert.ok(reads <= 11, String(reads))
  })
})

test('a listing of none is empty and not truncated; of no bucket, NoSuchBucket', async () => {
  await withBucket(async (cell, bucket) => {
    const listings = new CellListings(cell.foundation)
    const query = { guard, bucket, prefix: '', delimiter: '', limit: 0 }
    await assert.rejects(listings.objects(query), { code: 'NoSuchBucket' })
    await cell.buckets.create(bucketOf(bucket))
    await new Mirror(cell, bucket).put('k')
    assert.deepEqual(await listings.objects(query), { items: [], prefixes: [], isTruncated: false })
  })
})
