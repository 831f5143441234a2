import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Journal } from './journal.ts'

test('a run in parts goes on where it ended, also where a part was cut off', () => {
  const directory = mkdtempSync(join(tmpdir(), 'meridian-journal-'))
  try {
    const path = join(directory, 'journal')
    const toldOf = (seed: string) => ({ ran: { seed, operations: 10 }, cpu: 1, failure: 'lost\nand gone' })
    assert.deepEqual(new Journal(path).read(), [])
    const first = new Journal(path)
    for (const seed of ['1', '2']) first.add(toldOf(seed))
    appendFileSync(path, '{"ran":{"seed":"3"')
    assert.deepEqual(new Journal(path).read(), [toldOf('1'), toldOf('2')])
    const second = new Journal(path)
    for (const seed of ['3', '4']) second.add(toldOf(seed))
    assert.deepEqual(
      new Journal(path).read(),
      ['1', '2', '3', '4'].map((seed) => toldOf(seed)),
    )
  } finally {
    rmSync(directory, { recursive: true })
  }
})
