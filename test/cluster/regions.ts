import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { S3Client } from '@aws-sdk/client-s3'
import { loadConfig } from '#src/config/load.ts'
import { DataDirectory } from '#src/data-directory.ts'
import { openLog } from '#src/telemetry/log.ts'
import { realWorld } from '#src/world.ts'
import { prepareCluster } from '../../bin/cluster.ts'
import { type ServingNode, startNode } from '../../bin/node.ts'
import { freePorts } from '../support/free-ports.ts'
import { type Answer, SignedClient } from '../support/signed-client.ts'

/** A region in this process, with its whole gateway, as `meridian serve` would start it. */
export interface StartedRegion {
  readonly code: string
  readonly node: ServingNode
  readonly endpoint: string
  readonly peer: string
  /** Of alice, who is no administrator. */
  readonly client: S3Client
  stop(): Promise<void>
}

export interface Cluster {
  /** In which each region has a data directory, named as its code. */
  readonly folder: string
  /** The first is the root. */
  start(code: string, flags?: Readonly<Record<string, string>>): Promise<StartedRegion>
  /** Stops what runs, and removes all files. */
  close(): Promise<void>
}

export const alice = {
  accessKeyId: 'ALICEALICEALICEALICE',
  secretAccessKey: 'alice-secret-alice-secret-alice-secret-1',
}
export const clusterSecret = 'a secret that all regions of the test share'

export async function openCluster(): Promise<Cluster> {
  const folder = await mkdtemp(join(tmpdir(), 'meridian-cluster-'))
  const log = openLog('silent')
  const running = new Set<StartedRegion>()
  const ports = new Map<string, number>()
  let root: string | undefined

  async function start(code: string, flags: Readonly<Record<string, string>> = {}): Promise<StartedRegion> {
    const data = join(folder, code)
    const peerPort = ports.get(code) ?? (await freePorts(1))
    ports.set(code, peerPort)
    const config = loadConfig(
      {
        data,
        port: '0',
        region: code,
        peerPort: String(peerPort),
        ...(root !== undefined && root !== code && { join: `http://127.0.0.1:${ports.get(root)}` }),
        ...flags,
      },
      { MERIDIAN_CLUSTER_SECRET: clusterSecret },
    )
    new DataDirectory(data).prepare()
    await prepareCluster(config, realWorld, log)
    const node = await startNode(config, log, true)
    if (root === undefined) {
      const { identity } = node.node.services
      const account = await identity.createAccount({ displayName: 'alice', email: 'alice@example.com' })
      const { accessKeyId: id, secretAccessKey: secret } = alice
      await identity.createKey({ accountId: account.id, id, secret })
    }
    root ??= code
    const endpoint = `http://127.0.0.1:${node.port}`
    const client = new S3Client({ endpoint, region: 'auto', forcePathStyle: true, credentials: alice, maxAttempts: 1 })
    const region: StartedRegion = {
      code,
      node,
      endpoint,
      peer: `http://127.0.0.1:${peerPort}`,
      client,
      async stop() {
        running.delete(region)
        client.destroy()
        await node.stop()
      },
    }
    running.add(region)
    return region
  }

  return {
    folder,
    start,
    async close() {
      for (const region of [...running].reverse()) await region.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** The root and another region, which serves. */
export async function openPair(): Promise<{ cluster: Cluster; fra: StartedRegion; syd: StartedRegion }> {
  const cluster = await openCluster()
  const fra = await cluster.start('fra')
  const syd = await cluster.start('syd')
  await untilJoined(fra, syd)
  return { cluster, fra, syd }
}

/** Sends one request as alice, with headers that the SDK does not know. */
export async function send(
  region: StartedRegion,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: Uint8Array,
  query?: Record<string, string>,
): Promise<Answer> {
  const client = new SignedClient(region.endpoint, { accessKey: alice.accessKeyId, secretKey: alice.secretAccessKey })
  try {
    return await client.send({
      method,
      path,
      headers,
      ...(body !== undefined && { body }),
      ...(query !== undefined && { query }),
    })
  } finally {
    client.close()
  }
}

/** Waits until something is so, for a minute and a half at most. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 90_000
  while (!(await condition())) {
    if (performance.now() > end) throw new Error('it has not become so')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Until the other region serves, and the root has heard it: from then on it waits for it with every change. */
export async function untilJoined(root: StartedRegion, other: StartedRegion): Promise<void> {
  await until(() => {
    const [there, here] = [other.node.node.region, root.node.node.region]
    if (there?.members.isServing !== true) return false
    const state = here?.health.state(there.members.self.cell)
    return state?.isUp === true && state.roundTrip !== undefined
  })
}
