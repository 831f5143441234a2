import { FeedCourse, type Followed, follow } from '#src/cluster/feed-following.ts'
import type { FeedTarget } from '#src/cluster/feed-pages.ts'
import type { Transport } from '#src/cluster/transport.ts'
import type { World } from '#src/world.ts'

/** Of all partitions together, in one answer. */
const answerBytes = 4 * 2 ** 20
/** How long a peer keeps a request that it has nothing for, in milliseconds. */
const waitMilliseconds = 10_000
/** Beyond that wait: an answer that is later counts as one that does not come. */
const graceMilliseconds = 5_000
/**
 * Between an answer that told something and the next question: of many writes each would else be a message, and a commit here, of its own,
 * which costs both regions more than the write did. What is known already may come later. What comes after a silence is heard of at once.
 */
const paceMilliseconds = { news: 25, stream: 60 } as const
/** So many records in one answer are a stream of writes. */
const streamRecords = 8
/** After a failure, in milliseconds; twice as long after each that follows. */
const firstPause = 100
const longestPause = 5_000
/** How often it is looked at who is there to follow. */
const lookMilliseconds = 500

export interface Followee {
  readonly cell: number
  readonly incarnation: string
}

export interface FollowersParts {
  readonly target: FeedTarget & { readonly foundation: { readonly world: World } }
  readonly transport: Transport
  /** How often cells that are followed are told where this one's feed ends, in milliseconds. */
  readonly headsMilliseconds?: number
  /** The other cells, as of now. */
  peers(): readonly Followee[]
  /** Told of each answer that was applied. */
  applied?(cell: number, followed: Followed): void
  failed(cell: number, error: unknown): void
}

/** How far this cell is with one other's feed. */
export interface Following {
  /** By the monotonic clock: when all there was had been applied. Undefined: not yet. */
  readonly level: number | undefined
  /** Applied since the start. */
  readonly records: number
}

/**
 * Follows the feeds of all other cells, each at its own pace: one that is away holds up nobody, and is caught up with when it
 * is back.
 */
export class Followers {
  readonly #parts: FollowersParts
  /** What stops each. */
  readonly #loops = new Map<string, AbortController>()
  /** Those that were told to stop as well, until they have. */
  readonly #running = new Set<Promise<void>>()
  readonly #state = new Map<number, Following>()
  /** By cell: when it was asked what it has, by one that had all before; absent while there is more, or it does not answer. */
  readonly #waiting = new Map<number, number>()
  #began: number | undefined

  constructor(parts: FollowersParts) {
    this.#parts = parts
  }

  /** By cell. */
  get state(): ReadonlyMap<number, Following> {
    return this.#state
  }

  /** How long ago all that a cell had to tell was applied, in milliseconds; 0 while its next change is waited for. */
  lag(cell: number): number {
    const now = this.#parts.target.foundation.world.monotonic()
    const asked = this.#waiting.get(cell)
    if (asked !== undefined && now - asked < waitMilliseconds + graceMilliseconds) return 0
    return now - (this.#state.get(cell)?.level ?? this.#began ?? now)
  }

  /** Until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    const { world } = this.#parts.target.foundation
    this.#began ??= world.monotonic()
    while (!signal.aborted) {
      this.#reconcile(signal)
      await world.sleep(lookMilliseconds, signal).catch(() => undefined)
    }
    for (const stop of this.#loops.values()) stop.abort()
    await Promise.all(this.#running)
  }

  #reconcile(signal: AbortSignal): void {
    const wanted = new Map(this.#parts.peers().map((peer) => [`${peer.cell} ${peer.incarnation}`, peer]))
    for (const [name, stop] of this.#loops) {
      if (wanted.has(name)) continue
      stop.abort()
      this.#loops.delete(name)
    }
    for (const [name, peer] of wanted) {
      if (this.#loops.has(name)) continue
      const stop = new AbortController()
      this.#loops.set(name, stop)
      const following = this.#follow(peer, AbortSignal.any([signal, stop.signal]))
      const running = following.finally(() => this.#running.delete(running))
      this.#running.add(running)
    }
  }

  async #follow(peer: Followee, signal: AbortSignal): Promise<void> {
    const { target, transport, headsMilliseconds, applied, failed } = this.#parts
    let pause = firstPause
    const course = new FeedCourse(headsMilliseconds)
    while (!signal.aborted) {
      try {
        // Whether there is anything at all is worth knowing at once: a cell that joins begins to serve by it.
        const isLevel = this.#state.get(peer.cell)?.level !== undefined
        const limits = { bytes: answerBytes, wait: isLevel ? waitMilliseconds : 0 }
        const followed = await follow(target, transport, peer, limits, signal, course)
        this.#note(peer.cell, followed)
        applied?.(peer.cell, followed)
        pause = firstPause
        if (followed.received === 0 || followed.hasMore) continue
        const isNews = followed.written > 0 && followed.received < streamRecords
        await target.foundation.world.sleep(paceMilliseconds[isNews ? 'news' : 'stream'], signal)
      } catch (error) {
        if (signal.aborted) return
        this.#waiting.delete(peer.cell)
        failed(peer.cell, error)
        await target.foundation.world.sleep(pause, signal).catch(() => undefined)
        pause = Math.min(longestPause, 2 * pause)
      }
    }
  }

  #note(cell: number, { hasMore, received }: Followed): void {
    const before = this.#state.get(cell)
    const level = hasMore ? before?.level : this.#parts.target.foundation.world.monotonic()
    this.#state.set(cell, { level, records: (before?.records ?? 0) + received })
    if (hasMore || level === undefined) this.#waiting.delete(cell)
    else this.#waiting.set(cell, level)
  }
}
