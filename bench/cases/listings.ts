import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Call } from '../../test/support/signed-client.ts'
import type { BenchOptions } from '../options.ts'
import type { Row } from '../report.ts'
import { bucket, shots } from '../shots.ts'
import { fillBucket } from './fill.ts'
import { type Measured, measure, withMeridian } from './server.ts'

/** Keys under one common prefix: a listing with a delimiter must skip over them. */
const perPrefix = 500
const connections = 4

async function pages({ client, port }: Measured, seconds: number) {
  const list = (query: Record<string, string>): Call[] => [
    { method: 'GET', path: `/${bucket}`, query: { 'list-type': '2', ...query } },
  ]
  const plain = await measure(port, shots(client, list({})), connections, seconds)
  const prefixes = await measure(port, shots(client, list({ delimiter: '/', 'max-keys': '2' })), connections, seconds)
  return { plain, prefixes }
}

/** The first page of a bucket of 1,000 keys and of one of a million; full pages, and pages of two common prefixes. */
export async function listings({ seconds, keys }: BenchOptions): Promise<Row[]> {
  const measured: Awaited<ReturnType<typeof pages>>[] = []
  for (const count of [1000, keys]) {
    const data = await mkdtemp(join(tmpdir(), 'meridian-lists-'))
    await withMeridian(async () => {}, { data })
    await fillBucket(data, bucket, count, perPrefix)
    measured.push(await withMeridian((each) => pages(each, seconds), { data }))
    await rm(data, { recursive: true })
  }
  const [small, large] = measured
  if (small === undefined || large === undefined) return []
  const told = keys.toLocaleString('en')
  const row = (name: string, kind: 'plain' | 'prefixes'): Row[] => [
    { name: `${name} of 1,000`, perSecond: small[kind].perSecond, result: small[kind] },
    {
      name: `${name} of ${told}`,
      perSecond: large[kind].perSecond,
      result: large[kind],
      against: 'of 1,000',
      ratio: large[kind].perSecond / small[kind].perSecond,
      wanted: 0.5,
    },
  ]
  const rate = Math.round(large.plain.perSecond * 1000).toLocaleString('en')
  return [
    ...row(`first page of 1,000 keys (${rate} objects/s)`, 'plain'),
    ...row('first page of 2 common prefixes', 'prefixes'),
  ]
}
