import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { administrator } from '../../test/support/server-process.ts'
import { SignedClient } from '../../test/support/signed-client.ts'
import type { BenchOptions } from '../options.ts'
import type { Row } from '../report.ts'
import { objectCalls, shots } from '../shots.ts'
import { measure, sendAll, withBaseline, withMeridian } from './server.ts'

const size = 10 * 2 ** 20
const count = 20
const connections = 4

/** GET of 10 MiB, one worker, beside a server that verifies the signature and streams a file; and PUT, for the record. */
export async function largeBodies({ seconds }: BenchOptions): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), 'meridian-file-'))
  const file = join(folder, 'file')
  await writeFile(file, Buffer.alloc(size, 'm'))
  const bare = await withBaseline(['file', file, String(size)], async ({ port }) => {
    const client = new SignedClient(`http://127.0.0.1:${port}`, administrator)
    return await measure(port, shots(client, objectCalls('GET', size, count)), connections, seconds)
  })
  await rm(folder, { recursive: true })
  return await withMeridian(async ({ client, port }) => {
    const body = Buffer.alloc(size, 'm')
    await sendAll(objectCalls('PUT', size, count, body), 4, (call) => client.send(call))
    const get = await measure(port, shots(client, objectCalls('GET', size, count)), connections, seconds)
    const put = await measure(port, shots(client, objectCalls('PUT', size, count, body)), connections, seconds)
    const mebibytes = (perSecond: number): string => `${Math.round(perSecond * 10)} MiB/s`
    return [
      { name: `bare GET 10 MiB of a file (${mebibytes(bare.perSecond)})`, perSecond: bare.perSecond, result: bare },
      {
        name: `GET 10 MiB (${mebibytes(get.perSecond)})`,
        perSecond: get.perSecond,
        result: get,
        against: 'bare file server, a core each',
        ratio: get.perSecond / bare.perSecond,
        wanted: 0.6,
      },
      { name: `PUT 10 MiB (${mebibytes(put.perSecond)})`, perSecond: put.perSecond, result: put },
    ]
  })
}
