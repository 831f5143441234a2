import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { implemented } from '#gateway/operations/index.ts'
import { everyOperation } from '#gateway/operations/unimplemented.ts'
import { subspace } from '#src/metadata/keyspace.ts'
import { tabledSubspaces } from './keyspace.ts'
import { missing, operationsTable, reasons } from './operations.ts'
import { printedDocuments, read, root } from './printed.ts'

const documents = [...globSync('*.md', { cwd: root }), ...globSync('{docs,deploy}/**/*.md', { cwd: root })]

test('what documents print of the code is what the code says (npm run documents prints it anew)', async () => {
  const all = await printedDocuments()
  assert.ok(all.size >= 2)
  for (const [file, { is, now }] of all) assert.equal(is, now, file)
})

test('every subspace is in the table of keyspace.ts', () => {
  assert.deepEqual([...tabledSubspaces()].sort(), Object.keys(subspace).sort())
})

test('what is said to be missing is missing of operations that are there', () => {
  const names = new Set(implemented.map(({ name }) => name))
  assert.deepEqual(
    Object.keys(missing).filter((name) => !names.has(name)),
    [],
  )
})

test('what is not there says why', () => {
  const names = new Set(implemented.map(({ name }) => name))
  const absent = everyOperation.filter(({ name }) => !names.has(name)).map(({ name }) => name)
  assert.deepEqual(
    absent.filter((name) => reasons[name] === undefined),
    [],
  )
})

/** In no model of S3: a form of browsers, what ceph and Tigris added, and our own. */
const unmodelled = [
  'CancelBucketMigration',
  'GetBucketInformation',
  'GetBucketMigration',
  'GetUsage',
  'GetUsageStats',
  'PatchBucket',
  'PostBucketLogging',
  'PostObject',
  'StartBucketMigration',
]

test('every operation that AWS has is in the table, once, and no other', () => {
  const known = readFileSync(join(import.meta.dirname, 's3-operations.txt'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
  assert.ok(known.length >= 116)
  const names = [...operationsTable().matchAll(/^\| ([A-Z]\w+) \| .* \| (?:yes|partly|no) \| .*\|$/gm)].map(
    ([, name = '']) => name,
  )
  assert.deepEqual(names.toSorted(), [...known, ...unmodelled].toSorted())
})

test('links of documents lead to files that are there', () => {
  assert.ok(documents.length >= 8)
  const broken: string[] = []
  let links = 0
  for (const file of documents) {
    for (const [, target = ''] of read(file).matchAll(/\]\((?!https?:|#)([^)#\s]+)[^)]*\)/g)) {
      links += 1
      if (!existsSync(join(root, dirname(file), target))) broken.push(`${file}: ${target}`)
    }
  }
  assert.deepEqual(broken, [])
  assert.ok(links >= 50, `only ${links} links were found`)
})

test('a document has at most 300 lines, a decision at most 30', () => {
  for (const file of documents) {
    const lines = read(file).split('\n').length
    assert.ok(lines <= (file.includes('decisions') ? 30 : 300), `${file} has ${lines} lines`)
  }
})
