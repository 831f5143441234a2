import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { administrator } from '../../test/support/server-process.ts'
import { SignedClient } from '../../test/support/signed-client.ts'
import { load } from '../generator.ts'
import type { BenchOptions } from '../options.ts'
import { allProcessors, runLoop } from '../processes.ts'
import type { Row } from '../report.ts'
import { objectCalls, shots } from '../shots.ts'
import { measure, sendAll, sound, withBaseline, withMeridian } from './server.ts'

const connections = 64
const keys = 20_000

/** Of a bare server that keeps bodies as the loops do. */
async function bareWrites([kind = '', ...rest]: readonly string[], size: number, seconds: number, processors: string) {
  const folder = await mkdtemp(join(tmpdir(), 'meridian-put-'))
  const result = await withBaseline(
    [kind, folder, ...rest],
    async ({ port }) => {
      const client = new SignedClient(`http://127.0.0.1:${port}`, administrator)
      const calls = objectCalls('PUT', size, keys, Buffer.alloc(size, 'm'))
      return await measure(port, shots(client, calls), connections, seconds)
    },
    processors,
  )
  await rm(folder, { recursive: true })
  return result
}

/** PUT and DELETE of small objects, beside what the disk gives to a loop that does nothing else. */
export async function writes({ seconds }: BenchOptions): Promise<Row[]> {
  const commits = await runLoop(['lmdb', '1024', String(connections), String(seconds)])
  const appends = await runLoop(['append', '65536', String(connections), String(seconds)])
  const bare = await bareWrites(['put'], 1024, seconds, '0')
  const bareLarge = await bareWrites(['append', '2'], 65_536, seconds, allProcessors)
  const bareName = 'bare node:http PUT 1 KiB into LMDB'
  const bareLargeName = 'bare node:http PUT 64 KiB, 2 workers'
  const rows: Row[] = [
    { name: 'bare loop of LMDB commits, 1 KiB', perSecond: commits },
    { name: bareName, perSecond: bare.perSecond, result: bare, against: 'LMDB loop', ratio: bare.perSecond / commits },
    { name: 'bare loop of appends + LMDB, 64 KiB', perSecond: appends },
    {
      name: bareLargeName,
      perSecond: bareLarge.perSecond,
      result: bareLarge,
      against: 'append loop',
      ratio: bareLarge.perSecond / appends,
    },
  ]
  for (const workers of [1, 2]) {
    const { small, large, deletes } = await withMeridian(
      async ({ client, port }) => {
        const put = (size: number) =>
          measure(port, shots(client, objectCalls('PUT', size, keys, Buffer.alloc(size, 'm'))), connections, seconds)
        const results = { small: await put(1024), large: await put(65_536) }
        await sendAll(objectCalls('PUT', 1024, keys, Buffer.alloc(1024)), 64, (call) => client.send(call))
        const doomed = shots(client, objectCalls('DELETE', 1024, keys))
        return { ...results, deletes: sound(await load({ port, shots: doomed, connections, seconds, once: true })) }
      },
      { workers },
    )
    if (workers === 1) {
      const ratio = small.perSecond / bare.perSecond
      rows.push({ name: 'PUT 1 KiB, 1 worker', perSecond: small.perSecond, result: small, against: bareName, ratio })
    }
    if (workers === 2) {
      const ratio = large.perSecond / bareLarge.perSecond
      rows.push({ name: 'PUT 64 KiB, 2 workers', perSecond: large.perSecond, against: bareLargeName, ratio })
    }
    const told = workers === 1 ? '1 worker' : `${workers} workers`
    const wanted = workers === 1 ? {} : { wanted: 0.5 }
    rows.push(
      {
        name: `PUT 1 KiB, ${told}`,
        perSecond: small.perSecond,
        result: small,
        against: 'LMDB loop',
        ratio: small.perSecond / commits,
        ...wanted,
      },
      {
        name: `PUT 64 KiB, ${told}`,
        perSecond: large.perSecond,
        result: large,
        against: 'append loop',
        ratio: large.perSecond / appends,
        ...wanted,
      },
      {
        name: `DELETE 1 KiB, ${told}`,
        perSecond: deletes.perSecond,
        result: deletes,
        against: 'LMDB loop',
        ratio: deletes.perSecond / commits,
      },
    )
  }
  return rows
}
