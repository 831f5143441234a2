import {
  clearDelivery,
  type DeadLetter,
  type Delivery,
  decodePublished,
  isPlaced,
  nextTarget,
  type PlacedDelivery,
  type Published,
  readDue,
  readPublished,
  setDeadLetter,
  setDelivery,
  type Target,
} from '#src/metadata/notification-records.ts'
import { readSubscription, readSubscriptions, readTopic } from '#src/metadata/topic-records.ts'
import { pushEndpoint } from '#src/model/topic.ts'
import { takesFrom } from '#src/model/topic-policy.ts'
import type { Entry, Store, Transaction } from '#src/store/store.ts'
import { type Sender, whyNotTaken } from '#src/webhook/sender.ts'
import type { World } from '#src/world.ts'
import type { MessageKeys } from './message-keys.ts'
import { type Destination, destinationOf, postingOf } from './message-postings.ts'
import { subscriptionsMax } from './topics.ts'

/** Messages under way at once: in all; to one endpoint that takes them, that nobody has tried yet, that did not take the last. */
const most = { all: 64, taking: 8, unknown: 2, failing: 1 } as const
/** Longer than a message may take: who claimed it and died loses it to the next one. */
const leaseMilliseconds = 15_000
const firstPauseMilliseconds = 1_000
const longestPauseMilliseconds = 20 * 60 * 1000
/** Of an endpoint that fails, whatever waits for it: a backlog is not thrown at what is down. Shorter than a message's own pause. */
const firstRestMilliseconds = 200
const longestRestMilliseconds = 30_000
/** After a trouble of our own. */
const troubleMilliseconds = 5_000
/** Idle time between looks. */
const lookMilliseconds = 200
const publishedPerPass = 64
/** Of messages handed on in one transaction, each to all endpoints that a topic can have. */
const bytesPerTransaction = 90_000

export interface NotifierParts {
  readonly store: Store
  readonly world: World
  readonly keys: MessageKeys
  readonly sender: Sender
  /** How long a message is tried, from when it was published. */
  readonly giveUpMilliseconds: number
  /** Dead letters of one topic that are kept (H12). */
  readonly deadLettersMost: number
  readonly report: (event: NotifierEvent) => void
  /** That the oldest dead letters of a topic were forgotten for newer ones. */
  readonly forgotten: (event: { readonly owner: string; readonly topic: string; readonly count: number }) => void
  readonly failed: (error: unknown) => void
}

export interface NotifierEvent {
  readonly kind: 'not taken' | 'given up'
  readonly owner: string
  readonly topic: string
  readonly subscription: string
  readonly message: string
  readonly attempts: number
  readonly reason: string
}

/** A dead letter of a topic, and how many older ones went for it. */
interface Kept {
  readonly topic: DeadLetter['topic']
  readonly forgotten: number
}

interface Claimed {
  readonly placed: PlacedDelivery
  readonly destination: Destination
}

/** How it goes with one endpoint. */
interface Lane {
  running: number
  state: 'taking' | 'unknown' | 'failing'
  /** One after another. */
  failures: number
  /** Not tried again before, in milliseconds since the epoch. */
  restsUntil: number
}

/**
 * Takes published messages to the endpoints of their topics.
 *
 * H8  a message that was not taken is tried again, later and later, until its time is over; then it is a dead letter with the
 *     reason. It ends by an answer of 2xx, as a dead letter, or with its topic or subscription: never otherwise (C28, I10).
 * H9  an endpoint that is slow or gone holds up no other.
 */
export class Notifier {
  readonly #parts: NotifierParts
  readonly #lanes = new Map<string, Lane>()
  readonly #running = new Set<Promise<void>>()
  /** Where the last look ended, so that all targets have their turn. */
  #last: Target | undefined
  #wake: () => void = () => {}

  constructor(parts: NotifierParts) {
    this.#parts = parts
  }

  /** Until the signal; one process of a node at a time is enough, several do no harm. */
  async run(signal: AbortSignal): Promise<void> {
    const { failed } = this.#parts
    while (!signal.aborted) {
      try {
        // What comes in does not keep what is there from going out.
        const moved = (await this.handOn()) + (await this.look(signal))
        if (moved === 0) await this.#pause(signal)
      } catch (error) {
        failed(error)
        await this.#parts.world.sleep(troubleMilliseconds, signal).catch(() => undefined)
      }
    }
    await this.settled()
    this.#parts.sender.close()
  }

  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  async #pause(signal: AbortSignal): Promise<void> {
    const woken = new AbortController()
    this.#wake = () => woken.abort()
    await this.#parts.world.sleep(lookMilliseconds, AbortSignal.any([signal, woken.signal])).catch(() => undefined)
  }

  /** Makes deliveries of what was published; gives how many messages it handed on. */
  async handOn(): Promise<number> {
    const { store } = this.#parts
    const rows = await store.snapshot((snapshot) => readPublished(snapshot, publishedPerPass))
    for (const batch of batchesOf(rows)) {
      const kept = await store.transact(async (transaction) => {
        const letters: Kept[] = []
        for (const { key, value } of batch) {
          if ((await transaction.get(key)) === undefined) continue
          transaction.clear(key)
          const letter = await this.#deliverToAll(transaction, decodePublished(value))
          if (letter !== undefined) letters.push(letter)
        }
        return letters
      })
      for (const each of kept) this.#tellForgotten(each)
    }
    return rows.length
  }

  async #deliverToAll(to: Transaction, { topic, message, source }: Published): Promise<Kept | undefined> {
    const { owner, name, region } = topic
    const found = await readTopic(to, topic)
    const now = this.#parts.world.now()
    const isThere = found !== undefined && found.region === region
    if (!isThere || (source !== undefined && !takesFrom(found, source))) {
      const reason = isThere ? 'the topic does not take messages of this bucket' : 'the topic does not exist'
      const told = source === undefined ? {} : { source }
      return await this.#keep(to, { target: undefined, topic, message, attempts: 0, reason, time: now, ...told })
    }
    const listening = (await readSubscriptions(to, topic, subscriptionsMax)).filter((each) => !each.pending)
    const own = pushEndpoint(found) === undefined ? [] : ['']
    for (const subscription of [...own, ...listening.map(({ id }) => id)]) {
      const target = { owner, topic: name, subscription }
      setDelivery(to, { target, due: now, delivery: { message, region, attempts: 0, since: message.time } })
    }
    return undefined
  }

  async #keep(to: Transaction, letter: DeadLetter): Promise<Kept> {
    return { topic: letter.topic, forgotten: await setDeadLetter(to, letter, this.#parts.deadLettersMost) }
  }

  /** After the transaction, which may have run several times. */
  #tellForgotten({ topic: { owner, name }, forgotten: count }: Kept): void {
    if (count > 0) this.#parts.forgotten({ owner, topic: name, count })
  }

  /** Begins what is due, of each endpoint as much as it may have under way; gives how many messages it began. */
  async look(signal: AbortSignal): Promise<number> {
    const { store } = this.#parts
    const first = this.#last
    let target = await store.snapshot((snapshot) => nextTarget(snapshot, first))
    let hasWrapped = first === undefined
    let begun = 0
    while (!signal.aborted && this.#running.size < most.all) {
      if (target === undefined) {
        this.#last = undefined
        if (hasWrapped) break
        hasWrapped = true
      } else {
        begun += await this.#beginDue(target, signal)
        this.#last = target
        // Once round: what comes behind where it began was looked at.
        if (hasWrapped && first !== undefined && laneOf(target) === laneOf(first)) break
      }
      const after: Target | undefined = target
      target = await store.snapshot((snapshot) => nextTarget(snapshot, after))
    }
    return begun
  }

  async #beginDue(target: Target, signal: AbortSignal): Promise<number> {
    const lane: Lane = this.#lanes.get(laneOf(target)) ?? { running: 0, state: 'unknown', failures: 0, restsUntil: 0 }
    const room = Math.min(most[lane.state] - lane.running, most.all - this.#running.size)
    if (room <= 0 || this.#parts.world.now() < lane.restsUntil) return 0
    const claimed = await this.#claim(target, room)
    if (claimed.length > 0) this.#lanes.set(laneOf(target), lane)
    else if (lane.running === 0) this.#lanes.delete(laneOf(target))
    for (const each of claimed) {
      lane.running++
      const delivering = this.#deliver(each, lane, signal)
        .catch(this.#parts.failed)
        .finally(() => {
          lane.running--
          if (lane.running === 0 && lane.state !== 'failing') this.#lanes.delete(laneOf(target))
          this.#running.delete(delivering)
          this.#wake()
        })
      this.#running.add(delivering)
    }
    return claimed.length
  }

  /** Marks what is due as under way, in the transaction that sees where it goes; what goes nowhere any more is dropped. */
  async #claim(target: Target, limit: number): Promise<readonly Claimed[]> {
    const { store, world } = this.#parts
    const now = world.now()
    const due = await store.snapshot((snapshot) => readDue(snapshot, target, now, limit))
    if (due.length === 0) return []
    return await store.transact(async (transaction) => {
      const claimed: Claimed[] = []
      const topic = await readTopic(transaction, { owner: target.owner, name: target.topic })
      const subscription =
        target.subscription === ''
          ? undefined
          : await readSubscription(transaction, { owner: target.owner, name: target.topic }, target.subscription)
      for (const each of due) {
        if (!(await isPlaced(transaction, each))) continue
        clearDelivery(transaction, each)
        const destination = destinationOf(each, topic, subscription)
        if (destination === undefined) continue
        const delivery: Delivery = { ...each.delivery, attempts: each.delivery.attempts + 1 }
        const placed = { target, due: now + leaseMilliseconds, delivery }
        setDelivery(transaction, placed)
        claimed.push({ placed, destination })
      }
      return claimed
    })
  }

  async #deliver({ placed, destination }: Claimed, lane: Lane, signal: AbortSignal): Promise<void> {
    const { sender, keys, store } = this.#parts
    try {
      const { privateKey } = await keys.current()
      await sender.send(postingOf(placed.delivery.message, destination, privateKey), signal)
    } catch (error) {
      if (signal.aborted) await this.#putBack(placed)
      else {
        lane.state = 'failing'
        const rest = Math.min(longestRestMilliseconds, firstRestMilliseconds * 2 ** Math.min(lane.failures++, 30))
        lane.restsUntil = this.#parts.world.now() + rest
        await this.#postpone(placed, whyNotTaken(error))
      }
      return
    }
    lane.state = 'taking'
    lane.failures = 0
    lane.restsUntil = 0
    await store.transact(async (transaction) => clearDelivery(transaction, placed))
  }

  /** The process ends: the message waits for the next one, as if it had not been begun. */
  async #putBack(placed: PlacedDelivery): Promise<void> {
    const { store, world } = this.#parts
    await store.transact(async (transaction) => {
      if (!(await isPlaced(transaction, placed))) return
      clearDelivery(transaction, placed)
      const delivery = { ...placed.delivery, attempts: placed.delivery.attempts - 1 }
      setDelivery(transaction, { ...placed, due: world.now(), delivery })
    })
  }

  async #postpone(placed: PlacedDelivery, reason: string): Promise<void> {
    const { store, world, giveUpMilliseconds, report } = this.#parts
    const { target, delivery } = placed
    const { message, region, attempts, since } = delivery
    const now = world.now()
    const isOver = now - since >= giveUpMilliseconds
    const due = now + this.#pauseAfter(attempts)
    const kept = await store.transact(async (transaction) => {
      if (!(await isPlaced(transaction, placed))) return undefined
      clearDelivery(transaction, placed)
      if (isOver) {
        const topic = { owner: target.owner, name: target.topic, region }
        return await this.#keep(transaction, { target, topic, message, attempts, reason, time: now })
      }
      setDelivery(transaction, { target, due, delivery })
      return undefined
    })
    if (kept !== undefined) this.#tellForgotten(kept)
    report({ kind: isOver ? 'given up' : 'not taken', ...target, message: message.id, attempts, reason })
  }

  /** Twice as long each time, less up to a half by chance, so that what failed at once does not come back at once. */
  #pauseAfter(attempts: number): number {
    const whole = Math.min(longestPauseMilliseconds, firstPauseMilliseconds * 2 ** Math.min(attempts - 1, 30))
    const [chance = 0] = this.#parts.world.randomBytes(1)
    return Math.round(whole * (1 - chance / 512))
  }
}

const laneOf = ({ owner, topic, subscription }: Target): string => `${owner}:${topic}:${subscription}`

function batchesOf(rows: readonly Entry[]): readonly (readonly Entry[])[] {
  const batches: Entry[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const row of rows) {
    bytes += row.value.length
    const last = batches.at(-1)
    if (last !== undefined && bytes <= bytesPerTransaction) last.push(row)
    else {
      batches.push([row])
      bytes = row.value.length
    }
  }
  return batches
}
