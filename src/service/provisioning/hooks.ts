import { readSharedSecret } from '#src/metadata/provision-records.ts'
import { addTask, endTask, type Task } from '#src/metadata/task-records.ts'
import type { Provisioned } from '#src/model/provision.ts'
import { randomId } from '#src/service/random-words.ts'
import { type TaskFailure, TaskRunner } from '#src/service/task-runner.ts'
import type { Store, Transaction } from '#src/store/store.ts'
import type { World } from '#src/world.ts'

export type ChangeKind = 'created' | 'updated' | 'deleted'

/** What is told of a change, as it was when it was made. */
export interface HookMessage {
  readonly kind: ChangeKind
  readonly provisioned: Provisioned
}

/** The secret that the own control plane is told by: it is there once there was one. */
export const hookSecret = 'fly webhook'

const lane = 'provisioning'
/** Behind which nobody is waiting for the word any more. */
const giveUpMilliseconds = 7 * 86_400_000

interface Parts {
  readonly store: Store
  readonly world: World
}

/**
 * Tells whoever wants to know of changes to provisioned buckets.
 *
 * U5  a change is told at least once, after it was made and never where it was not, and is tried again until it is taken or a
 *     week has passed.
 */
export class Hooks {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Where nobody was ever to be told, nothing is remembered. */
  async add(transaction: Transaction, kind: ChangeKind, provisioned: Provisioned): Promise<void> {
    if ((await readSharedSecret(transaction, hookSecret)) === undefined) return
    const { world } = this.#parts
    const work: HookMessage = { kind, provisioned }
    await addTask(transaction, { lane, id: randomId(world), work, since: world.now() })
  }

  /** Tells until the signal; `send` rejects where it was not taken. */
  async run(
    signal: AbortSignal,
    {
      send,
      report,
      failed,
    }: {
      readonly send: (message: HookMessage, signal: AbortSignal) => Promise<void>
      readonly report: (failure: TaskFailure) => void
      readonly failed: (error: unknown) => void
    },
  ): Promise<void> {
    const { store, world } = this.#parts
    const perform = async (task: Task, stopping: AbortSignal): Promise<void> => {
      if (world.now() - task.since < giveUpMilliseconds) await send(task.work as HookMessage, stopping)
      await store.transact((transaction) => endTask(transaction, task))
    }
    const words = (error: unknown): string => (error instanceof Error ? error.message : String(error))
    await new TaskRunner({ store, world, serves: (each) => each === lane, perform, words, report, failed }).run(signal)
  }
}
