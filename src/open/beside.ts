import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { VolumeMaintenance } from '#src/blobs/volume-maintenance.ts'
import type { Standing } from '#src/cluster/founding.ts'
import type { Config } from '#src/config/load.ts'
import { DataDirectory, DataDirectoryError } from '#src/data-directory.ts'
import { lateKeys } from '#src/encryption/late-keys.ts'
import { readCopying } from '#src/metadata/copying.ts'
import { Namespace } from '#src/metadata/namespace.ts'
import { readVolumes } from '#src/metadata/node-records.ts'
import type { Task } from '#src/metadata/task-records.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { onlyCell, openKeysBeside, openNodeVolumes, volumePaths } from '#src/open.ts'
import { DeadLetters } from '#src/service/dead-letters.ts'
import type { Foundation } from '#src/service/foundation.ts'
import { NamespaceIdentity } from '#src/service/identity.ts'
import { MessageKeys } from '#src/service/message-keys.ts'
import { type CopyProgress, type CopyReport, copyMetadata } from '#src/service/metadata-copy.ts'
import type { ScrubbedNode } from '#src/service/scrubber.ts'
import { UsageKeeper } from '#src/service/usage-keeper.ts'
import { waitingTasks } from '#src/service/waiting-tasks.ts'
import type { Store } from '#src/store/store.ts'
import type { Log } from '#src/telemetry/log.ts'
import type { World } from '#src/world.ts'
import { clusteredStore } from './region.ts'
import { openCluster, openStore } from './store.ts'

/** Parts of a store alone, also beside a server that runs. */

export interface OpenDeadLetters {
  readonly letters: DeadLetters
  readonly store: Store
}

/** Notifications that were given up, also beside a server that runs. */
export async function openDeadLetters(config: Config, world: World): Promise<OpenDeadLetters> {
  const { store } = await openStore(config, world)
  return { store, letters: new DeadLetters({ store, world }) }
}

export interface OpenMessageKeys {
  readonly keys: MessageKeys
  readonly store: Store
}

/** What notifications are signed with, also beside a server that runs. */
export async function openMessageKeys(config: Config, world: World): Promise<OpenMessageKeys> {
  const { own } = openKeysBeside(config, world)
  const { store } = await openStore(config, world)
  return { store, keys: new MessageKeys({ store, world, own }) }
}

export interface OpenTasks {
  readonly tasks: () => AsyncGenerator<Task>
  readonly store: Store
}

/** Work that waits for other endpoints or buckets, also beside a server that runs. */
export async function openTasks(config: Config, world: World): Promise<OpenTasks> {
  const { store } = await openStore(config, world)
  return { store, tasks: () => waitingTasks(store) }
}

export interface OpenUsageKeeper {
  readonly keeper: UsageKeeper
  readonly buckets: () => Promise<readonly Bucket[]>
  readonly store: Store
}

/** What verifies the counts of usage, also beside a server that runs. */
export async function openUsageKeeper(config: Config, world: World): Promise<OpenUsageKeeper> {
  const { store } = await openStore(config, world)
  const namespace = new Namespace()
  const parts = { store, world, namespace, days: config.usageDays, failed: () => {}, recover: async () => {} }
  return {
    store,
    keeper: new UsageKeeper(parts),
    buckets: () => store.snapshot((snapshot) => namespace.buckets(snapshot)),
  }
}
export interface OpenIdentity {
  readonly identity: NamespaceIdentity
  readonly store: Store
}

/** Accounts and keys alone, also beside a server that runs. */
export async function openIdentity(config: Config, world: World): Promise<OpenIdentity> {
  const opened = await openStore(config, world)
  const { store } = await clusteredStore(opened.store)
  return { store, identity: new NamespaceIdentity({ store, world, namespace: new Namespace() }) }
}

export interface OpenMaintenance {
  readonly foundation: Foundation
  readonly maintenance: VolumeMaintenance
  /** Where there are other cells. */
  readonly standing?: Standing
  /** Where others share the cell. */
  readonly node?: ScrubbedNode
  close(): Promise<void>
}

/** The volumes alone, also beside a server that runs. None is made: a path that holds none is a mistake. */
export async function openMaintenance(config: Config, world: World, log: Log): Promise<OpenMaintenance> {
  const directory = new DataDirectory(config.data)
  for (const path of volumePaths(config, directory)) {
    if (!existsSync(join(path, 'identity.json'))) throw new DataDirectoryError(`there is no volume in ${path}`)
  }
  const opened = await openStore(config, world)
  const { store, standing } = await clusteredStore(opened.store)
  const volumes = await openNodeVolumes({ config, world, log }, directory).catch(async (error: unknown) => {
    await store.close()
    throw error
  })
  // A cell of a cluster knows where it is; what the settings say counts for a node that is alone.
  const { region, cell } = standing?.self ?? { region: config.region, cell: onlyCell }
  const { inlineBytesMax } = config
  const keys = lateKeys(() => openKeysBeside(config, world))
  const own = { store, world, namespace: new Namespace(), blobs: volumes, keys }
  const foundation = { ...own, region, cell, inlineBytesMax, hasPeers: standing !== undefined }
  return {
    foundation,
    maintenance: volumes.maintenance,
    ...(standing !== undefined && { standing }),
    ...(opened.node !== undefined && { node: await scrubbedNode(store, opened.node.id) }),
    close: async () => {
      await volumes.close()
      await store.close()
    },
  }
}

export interface MetadataCopy {
  readonly report: CopyReport | undefined
  /** Where what was copied is still kept. */
  readonly kept: string
}

/**
 * Copies the metadata of a directory that nobody serves to another driver, which has it from then on. Where that was done, and only cut
 * short at its very end, there is no report.
 */
export async function moveMetadata(
  config: Config,
  to: Config['metadata'],
  world: World,
  tell: (progress: CopyProgress) => void,
): Promise<MetadataCopy> {
  const directory = new DataDirectory(config.data)
  const claim = await directory.lock(world)
  try {
    return to === 'foundationdb'
      ? await moveToCluster(config, directory, world, tell)
      : await moveToEmbedded(config, directory, world, tell)
  } finally {
    claim.release()
  }
}

async function moveToCluster(
  config: Config,
  directory: DataDirectory,
  world: World,
  tell: Tell,
): Promise<MetadataCopy> {
  if (!directory.keepsEmbedded) throw new DataDirectoryError(`the metadata of ${config.data} is not in LMDB`)
  const { openLmdbStore } = await import('#src/store/lmdb/open.ts')
  const owner = directory.copyOwner(world)
  const target = await openCluster(config, world, owner)
  const source = await openLmdbStore({ path: directory.metadata, world }).catch(async (error: unknown) => {
    await target.close()
    throw error
  })
  try {
    const report = await copyOnce(source, target, world, tell)
    directory.moveToCluster(owner)
    return { report, kept: join(directory.metadata, 'data.mdb.copied') }
  } finally {
    await source.close()
    await target.close()
  }
}

async function moveToEmbedded(
  config: Config,
  directory: DataDirectory,
  world: World,
  tell: Tell,
): Promise<MetadataCopy> {
  if (!directory.keepsInCluster) throw new DataDirectoryError(`the metadata of ${config.data} is not in FoundationDB`)
  const kept = `the prefix ${config.fdbPrefix} of the cluster`
  const { openLmdbStore } = await import('#src/store/lmdb/open.ts')
  if (directory.keepsEmbedded) {
    directory.moveToEmbedded()
    return { report: undefined, kept }
  }
  const { store: source } = await openStore({ ...config, metadata: 'foundationdb' }, world)
  const target = await openLmdbStore({ path: directory.copyPath, world }).catch(async (error: unknown) => {
    await source.close()
    throw error
  })
  let report: CopyReport | undefined
  try {
    report = await copyOnce(source, target, world, tell)
  } finally {
    await source.close()
    await target.close()
  }
  directory.moveToEmbedded()
  return { report, kept }
}

type Tell = (progress: CopyProgress) => void

/** Undefined: the target holds a whole copy already. */
async function copyOnce(source: Store, target: Store, world: World, tell: Tell): Promise<CopyReport | undefined> {
  if ((await target.snapshot(readCopying))?.state === 'done') return undefined
  return await copyMetadata(source, target, { world, tell })
}

/** Which volumes other nodes have, as of now. */
async function scrubbedNode(store: Store, node: string): Promise<ScrubbedNode> {
  const owners = await store.snapshot(readVolumes)
  return { name: node, isElsewhere: (volume) => owners.has(volume) && owners.get(volume) !== node }
}
