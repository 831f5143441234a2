import type { Config } from '#src/config/load.ts'
import { Namespace } from '#src/metadata/namespace.ts'
import type { Task } from '#src/metadata/task-records.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { DeadLetters } from '#src/service/dead-letters.ts'
import { MessageKeys } from '#src/service/message-keys.ts'
import { UsageKeeper } from '#src/service/usage-keeper.ts'
import { waitingTasks } from '#src/service/waiting-tasks.ts'
import type { Store } from '#src/store/store.ts'
import type { World } from '#src/world.ts'
import { openKeys } from './open.ts'
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
