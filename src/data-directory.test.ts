import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { DataDirectory, DataDirectoryError } from './data-directory.ts'
import { realWorld } from './world.ts'

const folder = mkdtempSync(join(tmpdir(), 'meridian-data-'))
after(() => rmSync(folder, { recursive: true }))

const modeOf = (path: string): number => statSync(path).mode & 0o777

test('only their owner can look into the metadata, which hold secrets', () => {
  const made = new DataDirectory(join(folder, 'made'))
  made.prepare()
  assert.equal(modeOf(made.path), 0o700)
  const mounted = new DataDirectory(join(folder, 'mounted'))
  mkdirSync(mounted.path)
  chmodSync(mounted.path, 0o755)
  mounted.prepare()
  assert.equal(modeOf(mounted.metadata), 0o700)
})

test('Q2: a directory of somebody else, or of another format, is left as it is', () => {
  const foreign = new DataDirectory(join(folder, 'foreign'))
  mkdirSync(foreign.path)
  writeFileSync(join(foreign.path, 'letter.txt'), 'dear')
  assert.throws(() => foreign.prepare(), DataDirectoryError)
  assert.deepEqual(readdirSync(foreign.path), ['letter.txt'])
  const newer = new DataDirectory(join(folder, 'newer'))
  mkdirSync(newer.path)
  const file = join(newer.path, 'meridian.json')
  for (const content of ['{"format":2}', '{', '[]']) {
    writeFileSync(file, content)
    assert.throws(() => newer.prepare(), DataDirectoryError)
    assert.deepEqual(readdirSync(newer.path), ['meridian.json'])
    assert.equal(readFileSync(file, 'utf8'), content)
  }
})

test('Q2: a first start that was cut short can be made again', () => {
  const cut = new DataDirectory(join(folder, 'cut'))
  mkdirSync(join(cut.path, 'lost+found'), { recursive: true })
  writeFileSync(join(cut.path, 'meridian.json.new'), '{"for')
  cut.prepare()
  assert.ok(cut.exists())
  cut.prepare()
})

test('Q1: of those that start at once at most one has the directory, and the next one after it', async () => {
  const directory = new DataDirectory(join(folder, 'one'))
  directory.prepare()
  const claims = await Promise.allSettled([1, 2, 3, 4].map(() => directory.lock(realWorld)))
  const taken = claims.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  assert.ok(taken.length <= 1, `${taken.length} have it`)
  for (const claim of taken) claim.release()
  const claim = await directory.lock(realWorld)
  await assert.rejects(directory.lock(realWorld), DataDirectoryError)
  claim.release()
  const next = await directory.lock(realWorld)
  next.release()
})

test('Q3: metadata in a cluster is not opened as LMDB, nor the other way round, and the cluster hears one name for good', () => {
  const embedded = new DataDirectory(join(folder, 'embedded'))
  embedded.prepare()
  embedded.checkEmbedded()
  writeFileSync(join(embedded.metadata, 'data.mdb'), '')
  embedded.checkEmbedded()
  assert.throws(() => embedded.clusterOwner(realWorld), /is in LMDB/)
  const clustered = new DataDirectory(join(folder, 'clustered'))
  clustered.prepare()
  const owner = clustered.clusterOwner(realWorld)
  assert.equal(owner.isKnown, false)
  assert.throws(() => clustered.checkEmbedded(), /is in FoundationDB/)
  assert.deepEqual(clustered.clusterOwner(realWorld), owner, 'also if the cluster was not reached')
  clustered.confirmOwner(owner)
  assert.deepEqual(clustered.clusterOwner(realWorld), { ...owner, isKnown: true })
  writeFileSync(join(clustered.metadata, 'foundationdb.json'), '{}')
  assert.throws(() => clustered.clusterOwner(realWorld), DataDirectoryError)
})
