import { Followers } from '#replicator/follow.ts'
import type { Members } from '#src/cluster/members.ts'
import { PeerUnreachable } from '#src/cluster/transport.ts'
import type { OpenNode } from '#src/open.ts'
import type { Log } from '#src/telemetry/log.ts'
import type { World } from '#src/world.ts'

/** How often a cell that joins looks whether it has caught up, in milliseconds. */
const lookMilliseconds = 200

/** The replicator of a cell: one process of it follows the others. */
export class Replicating {
  readonly #log: Log
  readonly #world: World
  readonly #stopping = new AbortController()
  #members: Members | undefined
  #followers: Followers | undefined
  #running: Promise<void> = Promise.resolve()

  constructor(log: Log, world: World) {
    this.#log = log
    this.#world = world
  }

  /** Does nothing where there are no other cells. */
  start({ target, region }: OpenNode): void {
    if (target === undefined || region === undefined) return
    const { members, transport } = region
    this.#members = members
    this.#followers = new Followers({
      target,
      transport,
      peers: () => members.peers,
      applied: (cell, { conflicts }) => {
        if (conflicts > 0)
          this.#log.warn('writes of two regions met, and those that lost are kept', { cell, conflicts })
      },
      failed: (cell, error) => {
        // That a region is away is told once by whoever watches its health.
        if (!(error instanceof PeerUnreachable)) this.#log.error('following a region failed', { cell, error })
      },
    })
    this.#running = this.#followers.run(this.#stopping.signal)
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

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }
}
