import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { whyNoFoundationDb } from '../support/foundationdb.ts'
import type { Check } from './check.ts'
import { consistencyChecks, prepare } from './checks.ts'
import { Clocks, clockCheck, clockName, whyNoClocks } from './clocks.ts'
import { Cluster, type ClusterOptions } from './cluster.ts'
import { faultChecks } from './faults.ts'
import { fighting } from './fighting.ts'
import { FoundationServers, foundationChecks, foundationNames } from './foundationdb.ts'
import { durableFlags, lostRegion } from './lost-region.ts'
import { queueCheck, queueName, RedisServers, redisUrl, whyNoRedis } from './queues.ts'
import { linearisable } from './registers.ts'

type Base = Pick<ClusterOptions, 'machines' | 'codes' | 'latency'>

/** A cluster that was started for some checks. */
export interface Stage {
  readonly cluster: Cluster
  readonly checks: readonly Check[]
  close(): Promise<void>
}

/** Checks that can be made on one cluster. */
export interface Scene {
  /** Of its checks, to choose from before anything is started. */
  readonly names: readonly string[]
  /** Why it cannot be shown here; undefined: it can. */
  hindrance(): string | undefined
  open(base: Base): Promise<Stage>
}

const none = (): undefined => undefined

async function started(cluster: Cluster): Promise<void> {
  try {
    await cluster.start()
  } catch (error) {
    await cluster.close()
    throw error
  }
}

const plainChecks = [...consistencyChecks, fighting, linearisable, ...faultChecks]

const plain: Scene = {
  names: plainChecks.map(({ name }) => name),
  hindrance: none,
  async open(base) {
    const cluster = new Cluster(base)
    await started(cluster)
    await prepare(cluster)
    return { cluster, checks: plainChecks, close: () => cluster.close() }
  },
}

const turnedClocks: Scene = {
  names: [clockName],
  hindrance: whyNoClocks,
  async open(base) {
    const folder = mkdtempSync(join(tmpdir(), 'meridian-clocks-'))
    const clocks = new Clocks(folder, base.codes)
    const cluster = new Cluster({ ...base, environmentOf: clocks.environmentOf })
    await started(cluster)
    const close = async (): Promise<void> => {
      await cluster.close()
      rmSync(folder, { recursive: true })
    }
    return { cluster, checks: [clockCheck(clocks)], close }
  },
}

const wipedQueues: Scene = {
  names: [queueName],
  hindrance: whyNoRedis,
  async open(base) {
    const servers = new RedisServers(base.machines)
    const cluster = new Cluster({ ...base, flags: ['--redis', redisUrl] })
    const close = async (): Promise<void> => {
      await cluster.close()
      await servers.close()
    }
    try {
      for (const code of base.codes) await servers.start(code)
      await cluster.start()
    } catch (error) {
      await close()
      throw error
    }
    return { cluster, checks: [queueCheck(servers)], close }
  },
}

const destroyedDisks: Scene = {
  names: [lostRegion.name],
  hindrance: none,
  async open(base) {
    const cluster = new Cluster({ ...base, flags: durableFlags })
    await started(cluster)
    return { cluster, checks: [lostRegion], close: () => cluster.close() }
  },
}

export const scenes: readonly Scene[] = [plain, turnedClocks, wipedQueues, destroyedDisks]

/** The metadata of each region in a FoundationDB cluster of its own, and its jobs in Redis, where there is one. */
async function clusteredStage(
  base: Base,
  more: readonly string[],
  checksOf: (servers: FoundationServers) => readonly Check[],
): Promise<Stage> {
  const [servers, queues] = [new FoundationServers(base.machines), new RedisServers(base.machines)]
  const hasRedis = whyNoRedis() === undefined
  const flags = [...more, ...(hasRedis ? ['--redis', redisUrl] : [])]
  const destroyed = (code: string): Promise<void> => servers.replace(code)
  const cluster = new Cluster({ ...base, flags, environmentOf: servers.environmentOf, destroyed })
  const close = async (): Promise<void> => {
    await cluster.close()
    await servers.close()
    await queues.close()
  }
  try {
    await Promise.all(base.codes.map((code) => servers.begin(code)))
    if (hasRedis) for (const code of base.codes) await queues.start(code)
    await cluster.start()
  } catch (error) {
    await close()
    throw error
  }
  return { cluster, checks: checksOf(servers), close }
}

const clustered: Scene = {
  names: [...plainChecks.map(({ name }) => name), ...foundationNames],
  hindrance: whyNoFoundationDb,
  async open(base) {
    const stage = await clusteredStage(base, [], (servers) => [...plainChecks, ...foundationChecks(servers)])
    try {
      await prepare(stage.cluster)
    } catch (error) {
      await stage.close()
      throw error
    }
    return stage
  },
}

const destroyedClusters: Scene = {
  names: [lostRegion.name],
  hindrance: whyNoFoundationDb,
  open: (base) => clusteredStage(base, durableFlags, () => [lostRegion]),
}

export const scenesOf = (metadata: string): readonly Scene[] =>
  metadata === 'foundationdb' ? [clustered, destroyedClusters] : scenes
