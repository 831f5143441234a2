import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { regionMutants } from '../regions/mutant-list.ts'
import { scenes } from '../regions/scenes.ts'
import { broken } from './mutant.ts'
import { mutants } from './mutant-list.ts'

const root = dirname(dirname(import.meta.dirname))

test('every mutant finds its text, once', () => {
  for (const mutant of [...mutants, ...regionMutants]) {
    const sound = readFileSync(join(root, mutant.file), 'utf8')
    assert.notEqual(broken(sound, mutant), sound, mutant.name)
  }
})

test('every check of regions is seen to fail on a mutant', () => {
  const wanted = regionMutants.flatMap(({ checks }) => checks)
  const names = scenes.flatMap((scene) => scene.names)
  for (const name of names)
    assert.ok(
      wanted.some((words) => name.includes(words)),
      name,
    )
  for (const words of wanted)
    assert.ok(
      names.some((name) => name.includes(words)),
      words,
    )
})
