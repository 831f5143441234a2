import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setLayout } from '#src/metadata/layout-records.ts'
import { openLmdbStore } from '#src/store/lmdb/open.ts'
import { realWorld } from '#src/world.ts'
import type { Finding } from '../../bin/doctor/finding.ts'
import { layoutFindings } from '../../bin/doctor/metadata.ts'
import { fillRows, testLayouts } from '../support/raised-layout.ts'
import { ServerProcess } from '../support/server-process.ts'
import { meridian } from './command.ts'

const folder = mkdtempSync(join(tmpdir(), 'meridian-layout-'))
after(() => rmSync(folder, { recursive: true, force: true }))

test('U1: a server older than the layout of its metadata refuses to start with one line, and doctor says the same', async () => {
  const data = join(folder, 'newer')
  await (await ServerProcess.start({ data, workers: 1, patience: 90_000 })).stop()
  const { output } = await meridian('doctor', '--json', '--data', data)
  const found = (JSON.parse(output) as Finding[]).find(({ about }) => about === 'layout')
  assert.deepEqual(found, { about: 'layout', state: 'ok', says: 'the metadata is in layout 1' })

  const store = await openLmdbStore({ path: join(data, 'metadata'), world: realWorld })
  await store.transact(async (transaction) => setLayout(transaction, { layout: 98, needs: 99 }))
  await store.close()
  const line = /needs a version of Meridian that knows its layout 99, and this one knows 1 at most: start a newer one/
  await assert.rejects(ServerProcess.start({ data, workers: 1, patience: 90_000 }), ({ message }: Error) => {
    const [, ...said] = message.trim().split('\n')
    assert.equal(said.length, 1, message)
    assert.match(said[0] ?? '', line)
    return true
  })
  const doctor = await meridian('doctor', '--data', data)
  assert.equal(doctor.code, 1)
  assert.match(doctor.output, new RegExp(`^fail\\tmetadata\\t.*${line.source}`, 'm'))
})

test('doctor tells how far the layout is on its way', async () => {
  const store = await openLmdbStore({ path: join(folder, 'raised'), world: realWorld })
  try {
    const says = async (): Promise<string> => {
      const [finding] = await layoutFindings(store, testLayouts())
      return `${finding?.state} ${finding?.says}`
    }
    await fillRows(store, 10)
    assert.equal(
      await says(),
      'ok the metadata is in layout 1; a node that serves with this version raises it to 2 (wider numbers)',
    )
    const at = realWorld.now()
    await store.transact(async (transaction) => {
      setLayout(transaction, { layout: 1, needs: 2, raising: { range: 0, after: '', rows: 7, began: at, at } })
    })
    assert.match(
      await says(),
      /^ok the metadata is in layout 1, on its way to 2: 7 rows were gone through, the last \d+ s ago \(wider numbers\)$/,
    )
  } finally {
    await store.close()
  }
})
