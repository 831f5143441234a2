import type { CloudEndpoint } from '#src/cloud/endpoint.ts'
import { whyFailed } from '#src/cloud/s3-endpoint.ts'
import { freeName, type RemoteWork, tierOfLane } from '#src/metadata/remote-records.ts'
import { changeTask, endTask, type Task } from '#src/metadata/task-records.ts'
import type { Tier } from '#src/model/tier.ts'
import type { Foundation } from './foundation.ts'
import { type TaskFailure, TaskRunner } from './task-runner.ts'
import { TierMoves } from './tier-moves.ts'
import { TierRestores } from './tier-restores.ts'

/**
 * After the first deletion of a copy, the second: what was under way to that name until then has arrived, or is refused, as
 * signatures are good for 15 minutes (U1).
 */
const secondDeletionMilliseconds = 3600 * 1000
/** How often copies are looked for whose time is over. */
const expiryMilliseconds = 1_000

export interface CloudTier {
  readonly tier: Tier
  readonly endpoint: CloudEndpoint
}

export interface CloudTiersOptions {
  readonly tiers: ReadonlyMap<string, CloudTier>
  readonly report: (failure: TaskFailure) => void
  readonly failed: (error: unknown) => void
}

/** Does what is asked of other endpoints: takes there, brings back, deletes. */
export class CloudTiers {
  readonly runner: TaskRunner
  readonly restores: TierRestores
  readonly #moves: TierMoves
  readonly #foundation: Foundation
  readonly #options: CloudTiersOptions

  constructor(foundation: Foundation, options: CloudTiersOptions) {
    const { tiers, report, failed } = options
    this.#foundation = foundation
    this.#options = options
    this.#moves = new TierMoves(foundation)
    this.restores = new TierRestores(foundation)
    this.runner = new TaskRunner({
      store: foundation.store,
      world: foundation.world,
      serves: (lane) => tiers.has(tierOfLane(lane) ?? ''),
      perform: (task, signal) => this.#perform(task as Task<RemoteWork>, signal),
      words: whyFailed,
      report,
      failed,
    })
  }

  /** Until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.runner.run(signal), this.#expire(signal)])
    for (const { endpoint } of this.#options.tiers.values()) endpoint.close()
  }

  async #expire(signal: AbortSignal): Promise<void> {
    const { world } = this.#foundation
    while (!signal.aborted) {
      await this.restores.expire().catch(this.#options.failed)
      await world.sleep(expiryMilliseconds, signal).catch(() => undefined)
    }
  }

  async #perform(task: Task<RemoteWork>, signal: AbortSignal): Promise<void> {
    const served = this.#options.tiers.get(tierOfLane(task.lane) ?? '')
    if (served === undefined) throw new Error('a tier that is not configured')
    const { tier, endpoint } = served
    const { work } = task
    if (work.kind === 'move') return await this.#moves.perform({ ...task, work }, tier, endpoint, signal)
    if (work.kind === 'restore') return await this.restores.perform({ ...task, work }, endpoint, signal)
    await endpoint.delete(work.remote, signal)
    await this.#foundation.store.transact(async (transaction) => {
      if (work.isLast === true) {
        await endTask(transaction, task)
        freeName(transaction, work.remote)
        return
      }
      const due = this.#foundation.world.now() + secondDeletionMilliseconds
      await changeTask(transaction, task, (now) => ({ ...now, due, attempts: 0, work: { ...work, isLast: true } }))
    })
  }
}
