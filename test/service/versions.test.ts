import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Fault } from '#src/errors.ts'
import { decodeChange } from '#src/metadata/feed.ts'
import { partitions, under } from '#src/metadata/keyspace.ts'
import { decodeTombstone } from '#src/metadata/object-records.ts'
import { decodeVersion } from '#src/metadata/version-codec.ts'
import { formatStamp } from '#src/model/stamp.ts'
import { blobOf, type Version } from '#src/model/version.ts'
import type { Entry } from '#src/store/store.ts'
import { TupleReader, unpack } from '#src/store/tuple.ts'
import { acl, attributes, body, bytesOf, openCell, owner } from './cell.ts'

type Action =
  | { readonly kind: 'put'; readonly key: string; readonly size: number; readonly tagged: boolean }
  | { readonly kind: 'delete'; readonly key: string }
  | { readonly kind: 'deleteVersion'; readonly key: string; readonly pick: number }
  | { readonly kind: 'copy'; readonly key: string; readonly from: string; readonly pick: number }
  | { readonly kind: 'rename'; readonly key: string; readonly from: string }
  | { readonly kind: 'tag'; readonly key: string; readonly pick: number }
  | { readonly kind: 'versioning'; readonly to: 'enabled' | 'suspended' }

const key = fc.constantFrom('a', 'b', 'b\0')
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('put' as const),
      key,
      size: fc.constantFrom(0, 5, 40),
      tagged: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('delete' as const), key }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('deleteVersion' as const), key, pick: fc.nat(5) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('copy' as const), key, from: key, pick: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('rename' as const), key, from: key }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('tag' as const), key, pick: fc.nat(5) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('versioning' as const),
      to: fc.constantFrom('enabled' as const, 'suspended' as const),
    }),
  },
)

/** What S3 says a key holds: its versions, newest first. */
interface ModelVersion {
  readonly id: string
  readonly bytes: Buffer | undefined
}

class Model {
  versioning: 'off' | 'enabled' | 'suspended' = 'off'
  readonly keys = new Map<string, ModelVersion[]>()

  versions(key: string): ModelVersion[] {
    return this.keys.get(key) ?? []
  }

  current(key: string): Buffer | undefined {
    return this.versions(key)[0]?.bytes
  }

  add(key: string, id: string, bytes: Buffer | undefined): void {
    const kept = this.versions(key).filter((each) => !(id === 'null' && each.id === 'null'))
    this.keys.set(key, [{ id, bytes }, ...kept])
  }

  remove(key: string, id: string): void {
    this.keys.set(
      key,
      this.versions(key).filter((each) => each.id !== id),
    )
  }
}

type Cell = Awaited<ReturnType<typeof openCell>>

const bucket = 'bucket'
const noConditions = { conditions: {} }
const guard = () => {}
let counter = 0

async function perform(cell: Cell, model: Model, step: Action): Promise<void> {
  const { objects } = cell
  if (step.kind === 'versioning') {
    await cell.buckets.update(bucket, (each) => ({ ...each, versioning: step.to }))
    model.versioning = step.to
    return
  }
  const name = { bucket, key: step.key }
  const idOf = (versionId: string | undefined) => versionId ?? 'null'
  switch (step.kind) {
    case 'put': {
      const bytes = Buffer.alloc(step.size, `${counter++}.`)
      const tags = new Map(step.tagged ? [['k', 'v']] : [])
      const put = { name, attributes: { ...attributes, tags }, body: body(bytes), digests: {}, guard }
      const written = await objects.put({ ...put, ...noConditions })
      model.add(step.key, idOf(written.versionId), bytes)
      return
    }
    case 'delete': {
      const deleted = await objects.delete({ name, guard, ...noConditions, bypassGovernance: false, caller: owner })
      if (model.versioning === 'off') model.remove(step.key, 'null')
      else model.add(step.key, idOf(deleted.versionId), undefined)
      return
    }
    case 'deleteVersion': {
      const all = model.versions(step.key)
      const id = all.length === 0 ? 'null' : (all[step.pick % all.length]?.id ?? 'null')
      const request = { name, versionId: id, guard, ...noConditions, bypassGovernance: false, caller: owner }
      const deleted = await objects.delete(request)
      assert.equal(
        deleted.isMarker,
        all.some((each) => each.id === id && each.bytes === undefined),
      )
      model.remove(step.key, id)
      return
    }
    case 'tag': {
      const objectsOnly = model.versions(step.key).filter((each) => each.bytes !== undefined)
      const chosen = objectsOnly[step.pick % Math.max(1, objectsOnly.length)]
      if (chosen === undefined) return
      const tags = new Map([['n', String(counter++)]])
      await objects.update({ name, versionId: chosen.id, guard, change: () => ({ tags }) })
      const found = await objects.find({ name, versionId: chosen.id, guard })
      assert.deepEqual(found.version.tags?.value, tags)
      return
    }
    case 'copy':
    case 'rename':
      await move(cell, model, step)
  }
}

async function move(cell: Cell, model: Model, step: Action & { kind: 'copy' | 'rename' }): Promise<void> {
  const source = { bucket, key: step.from }
  const name = { bucket, key: step.key }
  const isRename = step.kind === 'rename'
  const versions = model.versions(step.from).filter((each) => each.bytes !== undefined)
  const picked = isRename ? undefined : versions[step.pick % Math.max(1, versions.length)]
  const bytes = isRename ? model.current(step.from) : picked?.bytes
  if (isRename && step.key === step.from) return
  const done = isRename
    ? cell.objects.rename({ source, target: name, conditions: {}, sourceConditions: {}, guard, sourceGuard: guard })
    : cell.objects.copy({
        source: { name: source, ...(picked !== undefined && { versionId: picked.id }), guard, ...noConditions },
        name,
        guard,
        ...noConditions,
        attributes: () => attributes,
      })
  if (bytes === undefined) {
    await assert.rejects(done, (error) => error instanceof Fault && error.code === 'NoSuchKey')
    return
  }
  const written = await done
  model.add(step.key, written.versionId ?? 'null', bytes)
  if (!isRename) return
  if (model.versioning === 'off') model.remove(step.from, 'null')
  else {
    const missing = await cell.objects.find({ name: source, guard }).catch((error: Fault) => error)
    assert.ok(missing instanceof Fault && missing.details['isMarker'] === 1)
    model.add(step.from, String(missing.details['versionId']), undefined)
  }
}

const all = async (cell: Cell, space: Parameters<typeof under>[0]): Promise<readonly Entry[]> => {
  const { from, to } = under(space, [])
  return await cell.store.snapshot((snapshot) => snapshot.range(from, to, { limit: 10_000 }))
}

async function checkReads(cell: Cell, model: Model): Promise<void> {
  for (const key of model.keys.keys()) {
    const name = { bucket, key }
    const current = model.current(key)
    const read = cell.objects.get({ name, guard, ...noConditions })
    if (current === undefined)
      await assert.rejects(read, (error) => error instanceof Fault && error.code === 'NoSuchKey')
    else assert.deepEqual(await bytesOf((await read).bytes), current)
    for (const { id, bytes } of model.versions(key)) {
      const one = cell.objects.get({ name, versionId: id, guard, ...noConditions })
      if (bytes === undefined)
        await assert.rejects(one, (error) => error instanceof Fault && error.code === 'MethodNotAllowed')
      else assert.deepEqual(await bytesOf((await one).bytes), bytes)
    }
  }
}

const idOf = (version: Version): string => (version.isNull ? 'null' : formatStamp(version.stamp))

/** The raw rows against the model: nothing too much, nothing missing. */
async function checkRows(cell: Cell, model: Model): Promise<void> {
  await cell.collector.pass()
  const rows = new Map<string, { version: Version; entry: string }>()
  const current = new Map<string, string>()
  for (const space of ['version', 'current'] as const) {
    for (const { key, value } of await all(cell, space)) {
      const [, name] = unpack(key.subarray(1))
      const version = decodeVersion(value)
      const entry = Buffer.from(value.subarray(1, 13)).toString('hex')
      rows.set(`${name} ${idOf(version)}`, { version, entry })
      if (space === 'current') current.set(String(name), idOf(version))
    }
  }
  const expected = [...model.keys].flatMap(([key, versions]) => versions.map(({ id }) => `${key} ${id}`))
  assert.deepEqual([...rows.keys()].sort(), expected.sort(), 'O1: the versions that are there')
  for (const [key, versions] of model.keys) {
    const newest = versions[0]
    assert.equal(current.get(key), newest?.bytes === undefined ? undefined : newest.id, 'O1: the current one')
  }
  await checkBlobs(
    cell,
    [...rows.values()].map(({ version }) => version),
  )
  await checkFeed(cell, rows)
}

async function checkBlobs(cell: Cell, versions: readonly Version[]): Promise<void> {
  const contents = versions.flatMap((version) => (version.kind === 'object' ? [version.content] : []))
  const referenced = contents.flatMap((content) => blobOf(content) ?? [])
  const references = (await all(cell, 'reference')).map(({ key }) =>
    Buffer.from(unpack(key.subarray(1))[0] as Uint8Array).toString('hex'),
  )
  assert.deepEqual(references.sort(), [...referenced].sort(), 'O3: one reference for each version with a blob')
  const blobs = (await all(cell, 'blob')).map(({ key }) =>
    Buffer.from(unpack(key.subarray(1))[0] as Uint8Array).toString('hex'),
  )
  assert.deepEqual(blobs.sort(), [...new Set(referenced)].sort(), 'R1: a record for each blob that is referred to')
  const inline = contents.filter((content) => content.kind === 'inline').length
  assert.equal((await all(cell, 'inline')).length, inline, 'the bytes of each small object, and no others')
}

async function checkFeed(cell: Cell, rows: ReadonlyMap<string, { version: Version; entry: string }>): Promise<void> {
  const expected = [...rows.values()].map(({ entry }) => entry)
  for (const { value } of await all(cell, 'tombstone'))
    expected.push(Buffer.from(decodeTombstone(value).entry).toString('hex'))
  const entries = await all(cell, 'feed')
  const stamps = entries.map(({ key }) => {
    const reader = new TupleReader(key, 1)
    assert.ok(reader.number() < partitions)
    return Buffer.from(key.subarray(reader.offset)).toString('hex')
  })
  assert.deepEqual(stamps.sort(), expected.sort(), 'F1: one entry for each record')
  for (const { value } of entries) assert.ok(decodeChange(value).stamp > 0n)
}

test('O1 O2 O3 R1 F1: rows, references and feed entries are what S3 says, whatever was done', async () => {
  const history = fc.array(action, { minLength: 1, maxLength: 25 })
  await fc.assert(
    fc.asyncProperty(history, async (steps) => {
      const cell = await openCell()
      try {
        await follow(cell, steps)
      } finally {
        await cell.close()
      }
    }),
    { numRuns: 400, examples: [[nullOntoItself]] },
  )
})

/** Rarely drawn: a `null` version that is not current is copied onto its own key, where it is replaced by its copy. */
const nullOntoItself: Action[] = [
  { kind: 'put', key: 'a', size: 40, tagged: false },
  { kind: 'versioning', to: 'enabled' },
  { kind: 'put', key: 'a', size: 5, tagged: false },
  { kind: 'versioning', to: 'suspended' },
  { kind: 'copy', key: 'a', from: 'a', pick: 1 },
]

async function follow(cell: Cell, steps: readonly Action[]): Promise<void> {
  await cell.buckets.create({ name: bucket, owner, acl, location: '', hasObjectLock: false })
  const model = new Model()
  for (const step of steps) {
    await perform(cell, model, step)
    await checkReads(cell, model)
  }
  await checkRows(cell, model)
  for (const key of [...model.keys.keys()]) {
    for (const { id } of [...model.versions(key)]) {
      const request = {
        name: { bucket, key },
        versionId: id,
        guard,
        ...noConditions,
        bypassGovernance: false,
        caller: owner,
      }
      await cell.objects.delete(request)
      model.remove(key, id)
    }
  }
  await checkRows(cell, model)
  await cell.buckets.delete(bucket)
}
