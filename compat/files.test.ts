import assert from 'node:assert/strict'
import { cp, mkdtemp, open, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { compareFiles, compareTrees, makeBigFile, makeTree, parseSize, readPiece, size } from './files.ts'

const home = await mkdtemp(join(tmpdir(), 'meridian-files-'))
after(() => rm(home, { recursive: true }))

test('a tree differs from its copy by one byte, one name less or one name more', async () => {
  const tree = await makeTree(import.meta.dirname, join(home, 'tree'), 20)
  const copy = join(home, 'copy')
  const [victim = ''] = tree.files
  assert.equal(tree.files.length, 20)
  const again = async () => {
    await rm(copy, { recursive: true, force: true })
    await cp(tree.directory, copy, { recursive: true })
  }
  await again()
  assert.match(await compareTrees(tree.directory, copy), /^20 files/)
  await writeFile(join(copy, victim), 'other')
  await assert.rejects(compareTrees(tree.directory, copy), /other bytes/)
  await again()
  await rm(join(copy, victim))
  await assert.rejects(compareTrees(tree.directory, copy), /1 files are missing/)
  await again()
  await writeFile(join(copy, 'more'), '')
  await assert.rejects(compareTrees(tree.directory, copy), /1 are extra/)
})

test('a big file differs once two of its parts change places, or its last byte is gone', async () => {
  const [one, other] = [join(home, 'one'), join(home, 'other')]
  const [bytes, part] = [20 * 1024 * 1024 + 100, 8 * 1024 * 1024]
  await makeBigFile(one, bytes)
  await makeBigFile(other, bytes)
  await compareFiles(one, other)
  const [first, second] = [await readPiece(one, 0, part), await readPiece(one, part, part)]
  const file = await open(other, 'r+')
  await file.write(second, 0, part, 0)
  await file.write(first, 0, part, part)
  await file.close()
  await assert.rejects(compareFiles(one, other), /differs/)
  await makeBigFile(other, bytes)
  await truncate(other, bytes - 1)
  await assert.rejects(compareFiles(one, other), /bytes, not/)
})

test('sizes are read and shown', () => {
  assert.deepEqual(['3GiB', '512 MiB', '17', '2kib'].map(parseSize), [3 * 1024 ** 3, 512 * 1024 ** 2, 17, 2048])
  assert.throws(() => parseSize('3 GB'))
  assert.deepEqual([0, 1023, 1536, 3 * 1024 ** 3].map(size), ['0 B', '1023 B', '1.5 KiB', '3.0 GiB'])
})
