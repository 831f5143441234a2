import { request } from 'node:http'
import type { BenchOptions } from '../options.ts'
import { peakMemory } from '../processes.ts'
import type { Row } from '../report.ts'
import { bucket } from '../shots.ts'
import { type Measured, withMeridian } from './server.ts'

const chunk = Buffer.alloc(2 ** 20, 'm')

function transfer({ client, port }: Measured, method: 'GET' | 'PUT', size: number): Promise<void> {
  const { path, headers } = client.signed({ method, path: `/${bucket}/large` })
  if (method === 'PUT') headers['content-length'] = String(size)
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, method, path, headers }, (answer) => {
      let received = 0
      answer.on('data', (bytes: Buffer) => {
        received += bytes.length
      })
      answer.on('end', () => {
        const isWhole = answer.statusCode === 200 && (method === 'PUT' || received === size)
        if (isWhole) resolve()
        else reject(new Error(`${method} answered ${answer.statusCode} with ${received} bytes`))
      })
    })
    sent.on('error', reject)
    let rest = method === 'PUT' ? size : 0
    const write = (): void => {
      while (rest > 0) {
        const piece = rest < chunk.length ? chunk.subarray(0, rest) : chunk
        rest -= piece.length
        if (!sent.write(piece)) {
          sent.once('drain', write)
          return
        }
      }
      sent.end()
    }
    write()
  })
}

/** The largest resident set of the process that takes, and then gives, one large body. */
export async function memory({ gibibytes }: BenchOptions): Promise<Row[]> {
  return await withMeridian(async (measured) => {
    const size = gibibytes * 2 ** 30
    const rows: Row[] = []
    for (const method of ['PUT', 'GET'] as const) {
      const started = performance.now()
      await transfer(measured, method, size)
      const seconds = (performance.now() - started) / 1000
      const mebibytes = (await peakMemory(measured.server.pid)) / 2 ** 20
      rows.push({
        name: `${method} ${gibibytes} GiB (${Math.round(size / 2 ** 20 / seconds)} MiB/s): 200 MiB / peak resident set of ${Math.round(mebibytes)} MiB`,
        perSecond: 1 / seconds,
        against: '200 MiB a process',
        ratio: 200 / mebibytes,
        wanted: 1,
      })
    }
    return rows
  })
}
