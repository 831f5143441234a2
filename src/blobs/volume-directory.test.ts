import assert from 'node:assert/strict'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { realWorld } from '#src/world.ts'
import { type Files, realFiles } from './files.ts'
import { VolumeDirectory } from './volume-directory.ts'

for (const { name, later } of [
  { name: 'and nothing came after it', later: 0 },
  { name: 'and others came after it', later: 2 },
]) {
  test(`D2: a number that another process used and removed since we looked is not used again, ${name}`, async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'directory-'))
    const theirs = await VolumeDirectory.open(folder, realFiles, realWorld)
    const used: number[] = []
    /** What the other process does between our look at the directory and our taking of a number. */
    let meanwhile: (() => Promise<void>) | undefined
    const files: Files = {
      ...realFiles,
      async link(from, to) {
        const act = meanwhile
        meanwhile = undefined
        await act?.()
        return realFiles.link(from, to)
      },
    }
    const ours = await VolumeDirectory.open(folder, files, realWorld)
    meanwhile = async () => {
      for (let index = 0; index <= later; index += 1) {
        const { number, file } = await theirs.createSegment()
        used.push(number)
        await realFiles.close(file)
      }
      for (const number of used) await theirs.removeSegment(number)
    }
    const { number, file } = await ours.createSegment()
    assert.equal(used.length, 1 + later)
    assert.ok(number > Math.max(...used), `${number} after ${used.join()}`)
    await realFiles.close(file)
    ours.release()
    theirs.release()
    fs.rmSync(folder, { recursive: true })
  })
}

test('D1: what a process left that died while it created a segment is removed, what lives is not touched', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'directory-'))
  const first = await VolumeDirectory.open(folder, realFiles, realWorld)
  const { number, file } = await first.createSegment()
  await realFiles.close(file)
  const claim = fs.readdirSync(`${folder}/claims`)[0]?.replace('.socket', '') ?? ''
  const dead = 'd'.repeat(32)
  for (const each of [claim, dead]) fs.writeFileSync(`${folder}/segments/${each}.7.new`, '')
  fs.writeFileSync(`${folder}/claims/${dead}.socket`, '')
  const second = await VolumeDirectory.open(folder, realFiles, realWorld)
  const left = fs.readdirSync(`${folder}/segments`).sort()
  assert.deepEqual(left, [`${String(number).padStart(8, '0')}.segment`, `${claim}.7.new`].sort())
  assert.equal(fs.readdirSync(`${folder}/claims`).length, 2)
  assert.equal((await second.segmentState(number))?.isSealed, false)
  first.release()
  assert.equal((await second.segmentState(number))?.isSealed, true)
  second.release()
  fs.rmSync(folder, { recursive: true })
})
