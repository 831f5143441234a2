import { administrator } from '../../test/support/server-process.ts'
import { SignedClient } from '../../test/support/signed-client.ts'
import type { BenchOptions } from '../options.ts'
import type { Row } from '../report.ts'
import { objectCalls, shots } from '../shots.ts'
import { type Measured, measure, sendAll, withBaseline, withMeridian } from './server.ts'

const count = 1000
const connections = 32
const sizes = [1024, 65_536]

async function fill({ client }: Measured, size: number): Promise<void> {
  await sendAll(objectCalls('PUT', size, count, Buffer.alloc(size, 'm')), 32, (call) => client.send(call))
}

/** GET and HEAD of small objects, one worker, beside a server that verifies the same signature and sends the same bytes. */
export async function smallReads({ seconds }: BenchOptions): Promise<Row[]> {
  const rows: Row[] = []
  const readBare = (kind: 'bytes' | 'tuned', size: number) =>
    withBaseline([kind, String(size)], async ({ port }) => {
      const client = new SignedClient(`http://127.0.0.1:${port}`, administrator)
      const read = (method: string) =>
        measure(port, shots(client, objectCalls(method, size, count)), connections, seconds)
      return { get: await read('GET'), head: await read('HEAD') }
    })
  const hello = await withBaseline(['hello'], async ({ port }) => {
    const client = new SignedClient(`http://127.0.0.1:${port}`, administrator)
    return await measure(port, shots(client, objectCalls('GET', 1024, count)), connections, seconds)
  })
  rows.push({ name: 'plain node:http hello', perSecond: hello.perSecond, result: hello })
  for (const size of sizes) {
    const bare = await readBare('bytes', size)
    const tuned = await readBare('tuned', size)
    const ours = await withMeridian(async (measured) => {
      await fill(measured, size)
      const read = (method: string) =>
        measure(measured.port, shots(measured.client, objectCalls(method, size, count)), connections, seconds)
      return { get: await read('GET'), head: await read('HEAD') }
    })
    for (const method of ['get', 'head'] as const) {
      const name = `${method.toUpperCase()} ${size / 1024} KiB`
      rows.push({
        name: `bare ${name}`,
        perSecond: bare[method].perSecond,
        result: bare[method],
        against: 'hello',
        ratio: bare[method].perSecond / hello.perSecond,
      })
      rows.push({
        name,
        perSecond: ours[method].perSecond,
        result: ours[method],
        against: `bare ${name}, a core each`,
        ratio: ours[method].perSecond / bare[method].perSecond,
        ...(method === 'get' && size === 1024 && { wanted: 0.6 }),
      })
      // Not what is asked for, but what could be reached: a server with nothing to do that spares itself all it can.
      rows.push({
        name,
        perSecond: ours[method].perSecond,
        against: `bare ${name}, tuned`,
        ratio: ours[method].perSecond / tuned[method].perSecond,
      })
    }
  }
  return rows
}
