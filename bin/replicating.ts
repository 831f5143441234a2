import { Followers } from '#replicator/follow.ts'
import { JobWorker } from '#replicator/job-worker.ts'
import { fetchBlobJob } from '#replicator/jobs/fetch-blob.ts'
import { ProcessQueue } from '#replicator/process-queue.ts'
import { RedisQueue } from '#replicator/queue.ts'
import { Relay } from '#replicator/relay.ts'
import type { Copies } from '#src/cluster/copies.ts'
import type { Members } from '#src/cluster/members.ts'
import { PeerUnreachable, type Transport } from '#src/cluster/transport.ts'
import type { OpenNode } from '#src/open.ts'
import type { Log } from '#src/telemetry/log.ts'
import type { Metrics } from '#src/telemetry/metrics.ts'
import type { Tracer } from '#src/telemetry/tracer.ts'
import type { World } from '#src/world.ts'
import { followingMeters, jobMeters, measureLag } from './replicating-metrics.ts'

/** How often a cell that joins looks whether it has caught up, in milliseconds. */
const lookMilliseconds = 200

/** Jobs at once, and a second. */
const pace = { concurrency: 4, perSecond: 200 }
const leastUrgent = 999

type Target = NonNullable<OpenNode['target']>

export interface ReplicatingParts {
  readonly log: Log
  readonly world: World
  /** Where the region's queue is; undefined: in this process. */
  readonly redis: string | undefined
  readonly metrics: Metrics
  readonly tracer: Tracer | undefined
}

/** The replicator of a cell: one process of it follows the others. */
export class Replicating {
  readonly #log: Log
  readonly #world: World
  #members: Members | undefined
  #followers: Followers | undefined
  readonly #redis: string | undefined
  readonly #metrics: Metrics
  readonly #tracer: Tracer | undefined
  #following: ReturnType<typeof followingMeters> | undefined
  #jobs: ReturnType<typeof jobMeters> | undefined

  constructor({ log, world, redis, metrics, tracer }: ReplicatingParts) {
    this.#log = log
    this.#world = world
    this.#redis = redis
    this.#metrics = metrics
    this.#tracer = tracer
  }

  /** Until the signal; does nothing where there are no other cells. Once more where the lead of the cell comes back to this process. */
  async run({ target, region, copies }: OpenNode, signal: AbortSignal): Promise<void> {
    if (target === undefined || region === undefined || copies === undefined) return
    const { members, transport } = region
    this.#members = members
    const counters = this.#metersOf(target, transport, members)
    this.#followers = new Followers({
      target,
      transport,
      peers: () => members.peers,
      applied: (cell, { conflicts, received }) => {
        counters.applied(cell, received, conflicts)
        if (conflicts > 0)
          this.#log.warn('writes of two regions met, and those that lost are kept', { cell, conflicts })
      },
      failed: (cell, error) => {
        counters.failed(cell)
        // That a region is away is told once by whoever watches its health.
        if (!(error instanceof PeerUnreachable)) this.#log.error('following a region failed', { cell, error })
      },
    })
    await Promise.all([this.#followers.run(signal), this.#work(target, members, copies, signal)])
  }

  /** What is measured is measured once, however often it is begun. */
  #metersOf(target: Target, transport: Transport, members: Members): ReturnType<typeof followingMeters> {
    if (this.#following !== undefined) return this.#following
    const followers = { lag: (cell: number): number => this.#followers?.lag(cell) ?? 0 }
    measureLag(this.#metrics, { target, transport, members, followers })
    this.#following = followingMeters(this.#metrics, members)
    return this.#following
  }

  /** Does the jobs of the outbox. */
  async #work({ foundation }: Target, { self }: Members, copies: Copies, signal: AbortSignal): Promise<void> {
    const { store, world } = foundation
    const tracer = this.#tracer
    const failed = (error: unknown): void => this.#log.error("the region's jobs are held up", { error })
    const queue =
      this.#redis === undefined
        ? new ProcessQueue(world)
        : new RedisQueue({ url: this.#redis, name: `meridian-${self.region}`, failed })
    const kinds = new Map([fetchBlobJob(copies)].map((kind) => [kind.name, kind]))
    const relay = new Relay({
      store,
      world,
      queue,
      urgencyOf: (kind) => kinds.get(kind)?.urgency ?? leastUrgent,
      failed,
      tracer,
    })
    this.#jobs ??= jobMeters(this.#metrics, [...kinds.keys()])
    const ended = this.#jobs
    const worker = new JobWorker({
      store,
      world,
      queue,
      kinds,
      pace,
      done: ({ kind }) => ended(kind, 'done'),
      report: ({ kind, payload }, error, isGivenUp) => {
        ended(kind, isGivenUp ? 'given_up' : 'failed')
        if (isGivenUp) this.#log.error('a job was given up, and is a dead letter', { kind, ...payload, error })
      },
      failed,
      tracer,
    })
    try {
      await Promise.all([relay.run(signal), worker.run(signal)])
    } finally {
      await queue.close()
    }
  }

  /** Once all that the others had to tell has been applied. */
  readonly caughtUp = async (signal: AbortSignal): Promise<void> => {
    while (!this.#isLevel()) await this.#world.sleep(lookMilliseconds, signal)
  }

  #isLevel(): boolean {
    const { state } = this.#followers ?? { state: new Map() }
    const active = this.#members?.peers.filter((each) => each.state === 'active')
    return active?.every(({ cell }) => state.get(cell)?.level !== undefined) ?? false
  }
}
