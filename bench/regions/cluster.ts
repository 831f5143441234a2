import { DevCluster, type DevOptions } from '../../test/support/dev-cluster.ts'
import { parseExposition, type SeriesLine } from '../../test/support/exposition.ts'
import type { SignedClient } from '../../test/support/signed-client.ts'
import { bucket } from '../shots.ts'

/** A cluster of its own, with a bucket in all regions. */
export async function withCluster<Result>(
  codes: readonly string[],
  latency: string,
  work: (cluster: DevCluster) => Promise<Result>,
  options: Pick<DevOptions, 'inMemory'> = {},
): Promise<Result> {
  const cluster = await DevCluster.start({ ...options, codes, latency, metrics: true })
  try {
    const client = cluster.client(codes[0] ?? '')
    try {
      await expectStatus(client, 'PUT', `/${bucket}`, 200)
      await everywhere(cluster)
    } finally {
      client.close()
    }
    return await work(cluster)
  } finally {
    await cluster.stop()
  }
}

export async function expectStatus(
  client: SignedClient,
  method: string,
  path: string,
  wanted: number,
  body?: Uint8Array,
): Promise<void> {
  const { status, body: text } = await client.send({ method, path, ...(body !== undefined && { body }) })
  if (status !== wanted) throw new Error(`${method} ${path}: ${status} ${text}`)
}

/** Until every region has the bucket. */
async function everywhere(cluster: DevCluster): Promise<void> {
  for (const code of cluster.codes) {
    const client = cluster.client(code)
    await eventually(async () => (await client.send({ method: 'HEAD', path: `/${bucket}` })).status === 200)
    client.close()
  }
}

export async function eventually(isSo: () => Promise<boolean>, patience = 60_000, pause = 20): Promise<void> {
  const until = performance.now() + patience
  while (!(await isSo())) {
    if (performance.now() > until) throw new Error('what was waited for did not come')
    await new Promise((resolve) => setTimeout(resolve, pause))
  }
}

/** What a region measures of itself now. */
export async function metricsOf(cluster: DevCluster, code: string): Promise<readonly SeriesLine[]> {
  const port = cluster.metricsPorts[cluster.codes.indexOf(code)]
  // A connection of its own: a region that stood still closes those that it finds idle, when it goes on.
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { connection: 'close' } })
  return parseExposition(await answer.text())
}
