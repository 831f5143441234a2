import type { BenchOptions } from '../options.ts'
import type { Row } from '../report.ts'
import { objectCalls, shots } from '../shots.ts'
import { measure, sendAll, withMeridian } from './server.ts'

const size = 65_536
const count = 1000

/** Of ten requests on objects of 64 KiB: six GET, two PUT, one HEAD, one listing. All workers. */
export async function mixed({ seconds }: BenchOptions): Promise<Row[]> {
  return await withMeridian(
    async ({ client, port }) => {
      const body = Buffer.alloc(size, 'm')
      await sendAll(objectCalls('PUT', size, count, body), 32, (call) => client.send(call))
      const of = (method: string, sent?: Buffer) => shots(client, objectCalls(method, size, count, sent))
      const [get, put, head] = [of('GET'), of('PUT', body), of('HEAD')]
      const list = shots(client, [{ method: 'GET', path: '/bench', query: { 'list-type': '2', 'max-keys': '100' } }])[0]
      const kinds = [get, get, put, get, head, get, put, get, get]
      const mix = get
        .flatMap((_, index) => [...kinds.map((kind) => kind[index]), list])
        .filter((shot) => shot !== undefined)
      const result = await measure(port, mix, 16, seconds)
      return [{ name: 'mixed 64 KiB, 2 workers', perSecond: result.perSecond, result }]
    },
    { workers: 2 },
  )
}
