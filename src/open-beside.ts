import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { VolumeMaintenance } from '#src/blobs/volume-maintenance.ts'
import type { Config } from '#src/config/load.ts'
import { DataDirectory, DataDirectoryError } from '#src/data-directory.ts'
import { Namespace } from '#src/metadata/namespace.ts'
import { readVolumes } from '#src/metadata/node-records.ts'
import type { Task } from '#src/metadata/task-records.ts'
import { DeadLetters } from '#src/service/dead-letters.ts'
import type { Foundation } from '#src/service/foundation.ts'
import { NamespaceIdentity } from '#src/service/identity.ts'
import { MessageKeys } from '#src/service/message-keys.ts'
import type { ScrubbedNode } from '#src/service/scrubber.ts'
import { waitingTasks } from '#src/service/waiting-tasks.ts'
import type { Store } from '#src/store/store.ts'
import type { Log } from '#src/telemetry/log.ts'
import type { World } from '#src/world.ts'
import { onlyCell, openKeys, openNodeVolumes, volumePaths } from './open.ts'
import { clusteredStore } from './open-region.ts'
import { openStore } from './open-store.ts'

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
  const { store } = await openStore(config, world)
  return { store, keys: new MessageKeys({ store, world, own: openKeys(config, world).own }) }
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
  const own = { store, world, namespace: new Namespace(), blobs: volumes, keys: openKeys(config, world) }
  const foundation = { ...own, region, cell, inlineBytesMax, hasPeers: standing !== undefined }
  return {
    foundation,
    maintenance: volumes.maintenance,
    ...(opened.node !== undefined && { node: await scrubbedNode(store, opened.node.id) }),
    close: async () => {
      await volumes.close()
      await store.close()
    },
  }
}

/** Which volumes other nodes have, as of now. */
async function scrubbedNode(store: Store, node: string): Promise<ScrubbedNode> {
  const owners = await store.snapshot(readVolumes)
  return { name: node, isElsewhere: (volume) => owners.has(volume) && owners.get(volume) !== node }
}
