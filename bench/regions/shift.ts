import { randomBytes } from 'node:crypto'
import type { DevCluster } from '../../test/support/dev-cluster.ts'
import { sumOf } from '../../test/support/exposition.ts'
import type { Plot } from '../plot.ts'
import { bucket, keyOf } from '../shots.ts'
import { eventually, expectStatus, metricsOf, withCluster } from './cluster.ts'
import { type Figure, percentile } from './figures.ts'

export interface ShiftOptions {
  readonly seconds: number
  /** Of all readers together, a second. */
  readonly reads: number
  readonly objects: number
  readonly bytes: number
}

const [from, to] = ['fra', 'syd'] as const
const mebibyte = 2 ** 20

/** One second of the run. */
interface Second {
  readonly reads: Readonly<Record<string, number>>
  /** Milliseconds of the reads in the region that demand moves to, and in the one it leaves. */
  readonly took: Readonly<Record<string, readonly number[]>>
  /** Bytes that crossed to the region that demand moves to, and durable copies it took, since the begin. */
  readonly moved: number
  readonly copies: number
}

/** Which part of the readers has moved: none in the first quarter, then more and more, all in the second half. */
const movedShare = (progress: number): number => Math.max(0, Math.min(1, (progress - 0.25) / 0.25))

/** Few objects are read often, and many seldom: the k-th as often as 1 / k. */
function popular(objects: number): () => number {
  const weights = Array.from({ length: objects }, (_, index) => 1 / (index + 1))
  const total = weights.reduce((sum, each) => sum + each, 0)
  return () => {
    let point = Math.random() * total
    const found = weights.findIndex((weight) => {
      point -= weight
      return point < 0
    })
    return Math.max(0, found)
  }
}

async function readers(cluster: DevCluster, options: ShiftOptions): Promise<readonly Second[]> {
  const { seconds, reads, objects, bytes } = options
  const clients = { [from]: cluster.client(from), [to]: cluster.client(to) }
  const choose = popular(objects)
  const history: Second[] = []
  const under = new Set<Promise<void>>()
  let current = { reads: { [from]: 0, [to]: 0 }, took: { [from]: [] as number[], [to]: [] as number[] } }
  const read = async (region: typeof from | typeof to): Promise<void> => {
    const began = performance.now()
    const { status, body } = await clients[region].send({ method: 'GET', path: keyOf(bytes, choose()) })
    if (status !== 200 || body.length !== bytes) throw new Error(`a read in ${region} was answered ${status}`)
    current.reads[region] += 1
    current.took[region].push(performance.now() - began)
  }
  const started = performance.now()
  for (let second = 0; second < seconds; second++) {
    for (let at = 0; at < reads; at++) {
      const due = started + (second + at / reads) * 1000
      const early = due - performance.now()
      if (early > 1) await new Promise((resolve) => setTimeout(resolve, early))
      const reading = read(Math.random() < movedShare((second + at / reads) / seconds) ? to : from)
      under.add(reading)
      reading.then(
        () => under.delete(reading),
        () => {},
      )
    }
    const lines = await metricsOf(cluster, to)
    const moved = sumOf(lines, 'meridian_remote_bytes_total')
    history.push({ ...current, moved, copies: sumOf(lines, 'meridian_copies_taken_total') })
    current = { reads: { [from]: 0, [to]: 0 }, took: { [from]: [], [to]: [] } }
  }
  await Promise.all(under)
  for (const client of Object.values(clients)) client.close()
  return history
}

/** Each value with those before it: a second has few reads, and misses come in drops. */
function smoothed(values: readonly number[], window = 5): readonly number[] {
  return values.map((_, index) => {
    const recent = values.slice(Math.max(0, index - window + 1), index + 1).filter(Number.isFinite)
    return recent.reduce((sum, each) => sum + each, 0) / recent.length
  })
}

function figuresOf(history: readonly Second[], { bytes }: ShiftOptions, roundTrip: number): readonly Figure[] {
  const settled = history.slice(Math.floor((history.length * 3) / 4))
  const total = history.at(-1)?.moved ?? 0
  const before = history[Math.floor((history.length * 3) / 4) - 1]?.moved ?? 0
  const readThere = settled.reduce((sum, { reads }) => sum + (reads[to] ?? 0), 0) * bytes
  const all = history.flatMap(({ took }) => took[to] ?? [])
  return [
    { name: 'round trip between them', value: roundTrip, unit: 'ms' },
    { name: `reads in ${to}`, value: all.length, unit: 'reads' },
    { name: `bytes moved to ${to}`, value: total / mebibyte, unit: 'MiB' },
    { name: `durable copies in ${to} at the end`, value: history.at(-1)?.copies ?? 0, unit: 'blobs' },
    {
      name: `bytes read in ${to} that did not cross regions, last quarter`,
      value: 1 - (total - before) / Math.max(1, readThere),
      unit: 'of 1',
      wanted: { least: 0.9 },
    },
    { name: `slowest 5 % of all reads in ${to}`, value: percentile(all, 0.95), unit: 'ms' },
    {
      name: `median read in ${to}, last quarter`,
      value: percentile(
        settled.flatMap(({ took }) => took[to] ?? []),
        0.5,
      ),
      unit: 'ms',
      // Below a round trip, nobody can have asked another region.
      wanted: { most: roundTrip },
    },
  ]
}

function plotOf(history: readonly Second[], { bytes, objects, reads }: ShiftOptions, note: string): Plot {
  const local = history.map(({ moved, reads: counted }, index) => {
    const since = moved - (history[index - 1]?.moved ?? 0)
    const read = (counted[to] ?? 0) * bytes
    return read === 0 ? Number.NaN : Math.max(0, 1 - since / read)
  })
  const median = (region: string) => history.map(({ took }) => percentile(took[region] ?? [], 0.5))
  const first = history.findIndex(({ reads: counted }) => (counted[to] ?? 0) > 0)
  const known = (values: readonly number[]) => values.map((value, index) => (index < first ? Number.NaN : value))
  return {
    title: `Demand moves from ${from} to ${to}`,
    note: `${objects} objects of ${bytes / 1024} KiB, ${reads} reads a second; ${note}`,
    times: history.map((_, index) => index),
    panels: [
      {
        title: 'Reads a second',
        format: (value) => value.toFixed(0),
        lines: [from, to].map((name) => ({ name, values: history.map(({ reads: counted }) => counted[name] ?? 0) })),
      },
      {
        title: `Share of the bytes read in ${to} that were there already (mean of 5 s)`,
        format: (value) => `${(value * 100).toFixed(0)} %`,
        most: 1,
        lines: [{ name: to, values: known(smoothed(local)) }],
      },
      {
        title: 'Median time of a read (mean of 5 s)',
        format: (value) => `${value.toFixed(0)} ms`,
        lines: [from, to].map((name) => ({ name, values: smoothed(median(name)) })),
      },
      {
        title: `Bytes moved to ${to}, all together, beside the size of all objects`,
        format: (value) => `${value.toFixed(0)} MiB`,
        lines: [
          { name: 'moved', values: history.map(({ moved }) => moved / mebibyte) },
          { name: 'all objects', values: history.map(() => (objects * bytes) / mebibyte) },
        ],
      },
    ],
  }
}

/** Readers go from one region to another, and what they read follows them. */
export async function shift(options: ShiftOptions, note: string): Promise<{ figures: readonly Figure[]; plot: Plot }> {
  return await withCluster(['fra', 'iad', 'syd'], 'realistic', async (cluster) => {
    const client = cluster.client(from)
    for (let index = 0; index < options.objects; index++) {
      await expectStatus(client, 'PUT', keyOf(options.bytes, index), 200, randomBytes(options.bytes))
    }
    client.close()
    const there = cluster.client(to)
    // Their records are there at once; only bytes have to come.
    const last = keyOf(options.bytes, options.objects - 1)
    await eventually(async () => (await there.send({ method: 'HEAD', path: last })).status === 200)
    const list = await there.send({ method: 'GET', path: `/${bucket}`, query: { 'list-type': '2', 'max-keys': '1' } })
    if (list.status !== 200) throw new Error(`${to} does not list: ${list.status}`)
    there.close()
    const lines = await metricsOf(cluster, to)
    const roundTrip = sumOf(lines, 'meridian_peer_round_trip_seconds', { peer: from }) * 1000
    const history = await readers(cluster, options)
    return { figures: figuresOf(history, options, roundTrip), plot: plotOf(history, options, note) }
  })
}
