import { keys } from '#src/metadata/keyspace.ts'
import { applyNamespaceChange, noPosition } from '#src/metadata/namespace-feed.ts'
import { wholeNamespace } from '#src/metadata/namespace-keys.ts'
import {
  isForsaken,
  type NamespaceCursor,
  type NamespacePlace,
  readNamespaceCursor,
  readNamespaceHeard,
  setNamespaceCursor,
  setNamespaceHeard,
} from '#src/metadata/namespace-replica.ts'
import { memberOf } from '#src/model/region.ts'
import type { Snapshot, Store, Transaction } from '#src/store/store.ts'
import { afterKey } from '#src/store/tuple.ts'
import type { World } from '#src/world.ts'
import type { Members } from './members.ts'
import { bytesOf, decodeMessage, encodeMessage, textOf } from './messages.ts'
import {
  type CopyAnswer,
  type CopyRequest,
  type FollowAnswer,
  type FollowRequest,
  readChange,
  readRows,
} from './namespace-messages.ts'
import { stoppedAfter } from './patience.ts'
import { rootOf } from './promotion.ts'
import type { Transport } from './transport.ts'

export interface FollowerParts {
  /** Unguarded: only the follower writes a replica's namespace (Y3). */
  readonly store: Store
  readonly world: World
  readonly transport: Transport
  readonly members: Pick<Members, 'membership' | 'isRoot'>
  /** Told in the transaction that applies it: the row of this key changed, or went. */
  readonly applying?: (transaction: Transaction, key: Uint8Array, value: Uint8Array | undefined) => Promise<void>
  /** Where the root was not heard for some time: there may be another one. */
  readonly unheard?: () => Promise<void>
}

/** How long the root may keep a question, and how long an answer may take beyond that, in milliseconds. */
const wait = 20_000
const patience = 10_000
/** Between looks of the root whether it still is, in milliseconds. */
const idle = 1_000
const pauses = { first: 100, most: 5_000 }
/** How often hearing of the root is noted where nothing changes, in milliseconds. */
const heardEvery = 10_000

/**
 * Keeps a replica of the namespace.
 *
 * Y5  a page is applied only where the cursor stands at its start, in the transaction that moves it.
 * Y6  a replica is a state that the root had, but for the time of its first copy: rows are read at the root no older than the
 *     position from which it is followed afterwards.
 */
export class NamespaceFollower {
  readonly #parts: FollowerParts
  #heard = Number.NEGATIVE_INFINITY

  constructor(parts: FollowerParts) {
    this.#parts = parts
  }

  /** Until the signal; what fails is tried again, later and later. */
  async run(signal: AbortSignal, failed: (error: unknown) => void): Promise<void> {
    let pause = pauses.first
    while (!signal.aborted) {
      try {
        // Whoever becomes the root follows nobody, and may be followed by another one again.
        if (this.#parts.members.isRoot) await this.#parts.world.sleep(idle, signal)
        else await this.step(signal)
        pause = pauses.first
      } catch (error) {
        if (signal.aborted) return
        failed(error)
        await this.#parts.world.sleep(pause, signal).catch(() => {})
        if (pause === pauses.most) await this.#parts.unheard?.().catch(failed)
        pause = Math.min(2 * pause, pauses.most)
      }
    }
  }

  /** Copies or follows by one page; waits for a change where there is none. */
  async step(signal: AbortSignal): Promise<void> {
    const cursor = await this.#standing()
    if (cursor === undefined || cursor.copiedTo !== undefined) await this.#copy(cursor, cursor?.copiedTo, signal)
    else await this.#follow(cursor, signal)
  }

  async #standing(): Promise<NamespaceCursor | undefined> {
    return await this.#parts.store.snapshot(async (snapshot) => {
      await this.#checkForsaken(snapshot)
      return await readNamespaceCursor(snapshot)
    })
  }

  /** What a lost root says from now on, those who compare how far they are do not know of (Y17). */
  async #checkForsaken(from: Snapshot): Promise<void> {
    const { world, members } = this.#parts
    const { membership } = members
    const { incarnation = '' } = memberOf(membership, membership.root) ?? {}
    const root = rootOf(incarnation, membership)
    if (!(await isForsaken(from, { root, reign: membership.reign ?? 0 }, world.now()))) return
    throw new Error('the root is lost, and another region takes its place')
  }

  /** Copies all of it, for a cell that has none yet. */
  async copyAll(signal: AbortSignal): Promise<void> {
    for (;;) {
      const cursor = await this.#parts.store.snapshot(readNamespaceCursor)
      if (cursor !== undefined && cursor.copiedTo === undefined) return
      await this.#copy(cursor, cursor?.copiedTo, signal)
    }
  }

  async #ask<Answer>(method: string, request: FollowRequest | CopyRequest, signal: AbortSignal): Promise<Answer> {
    const { world, transport, members } = this.#parts
    const { root } = members.membership
    const kept = 'wait' in request ? request.wait : 0
    const answer = await stoppedAfter(world, kept + patience, signal, (inner) =>
      transport.ask(root, method, encodeMessage(request), inner),
    )
    return decodeMessage<Answer>(answer)
  }

  /** What stands is served until each part of it is replaced; how far this cell was with another root is known until then (Y17). */
  async #copy(cursor: NamespaceCursor | undefined, after: Uint8Array | undefined, signal: AbortSignal): Promise<void> {
    const request = after === undefined ? {} : { after: textOf(after) }
    const answer = await this.#ask<CopyAnswer>('namespace-copy', request, signal)
    // Another root than the one whose rows came so far.
    if (after !== undefined && answer.incarnation !== cursor?.incarnation)
      return await this.#copy(cursor, undefined, signal)
    const rows = readRows(answer.rows)
    const last = rows.at(-1)
    const from = after === undefined ? wholeNamespace.from : afterKey(after)
    const to = answer.hasMore && last !== undefined ? afterKey(last.key) : wholeNamespace.to
    await this.#apply(cursor, async (transaction) => {
      transaction.clearRange(from, to)
      for (const { key, value } of rows) transaction.set(key, value)
      // The position of the first page: what changed behind it is followed, whether or not later pages show it already.
      const begun = after === undefined ? undefined : cursor
      const { incarnation, position } = begun ?? { incarnation: answer.incarnation, position: bytesOf(answer.head) }
      const next: NamespaceCursor = { incarnation, position }
      setNamespaceCursor(transaction, answer.hasMore && last !== undefined ? { ...next, copiedTo: last.key } : next)
    })
  }

  async #follow(cursor: NamespaceCursor, signal: AbortSignal): Promise<void> {
    const { incarnation, position } = cursor
    const request: FollowRequest = { incarnation, position: textOf(position), wait }
    const answer = await this.#ask<FollowAnswer>('namespace-follow', request, signal)
    if (answer.kind === 'other') {
      await this.#copy(cursor, undefined, signal)
      return
    }
    const end = bytesOf(answer.end)
    const hasMoved = Buffer.compare(end, position) !== 0
    const isDue = this.#parts.world.now() - this.#heard >= heardEvery
    if (!hasMoved && !isDue) return
    if (Buffer.compare(bytesOf(answer.position), position) !== 0) throw new Error('a page that starts elsewhere')
    await this.#apply(cursor, async (transaction) => {
      for (const written of answer.changes) {
        const change = readChange(written)
        if (change.to === undefined) await this.#parts.applying?.(transaction, change.from, change.rows[0]?.value)
        applyNamespaceChange(transaction, change)
      }
      setNamespaceCursor(transaction, { incarnation, position: end })
    })
  }

  async #apply(cursor: NamespaceCursor | undefined, body: (transaction: Transaction) => Promise<void>): Promise<void> {
    const { store, world } = this.#parts
    const now = world.now()
    await store.transact(async (transaction) => {
      if (!isAt(await readNamespaceCursor(transaction), cursor))
        throw new Error('another process follows the root as well')
      await this.#checkForsaken(transaction)
      await body(transaction)
      setNamespaceHeard(transaction, now)
    })
    this.#heard = now
  }
}

function isAt(standing: NamespaceCursor | undefined, cursor: NamespaceCursor | undefined): boolean {
  if (standing === undefined || cursor === undefined) return standing === cursor
  const compared = [
    [standing.position, cursor.position],
    [standing.copiedTo ?? noPosition, cursor.copiedTo ?? noPosition],
  ] as const
  return standing.incarnation === cursor.incarnation && compared.every(([a, b]) => Buffer.compare(a, b) === 0)
}

/** What requests of this cell know of the namespace. */
export class Replica {
  readonly #store: Store
  readonly #world: World
  /** Milliseconds. */
  readonly #staleness: number
  #isStale = false
  #looked = Number.NEGATIVE_INFINITY

  constructor(parts: { readonly store: Store; readonly world: World; readonly staleness: number }) {
    this.#store = parts.store
    this.#world = parts.world
    this.#staleness = parts.staleness
  }

  /**
   * Whether the root was not heard for so long that keys and policies may be out of date beyond what is allowed (C24). As of a
   * second ago: nobody waits for it.
   */
  isStale(): boolean {
    if (this.#world.monotonic() - this.#looked >= 1_000) {
      this.#looked = this.#world.monotonic()
      this.look().catch(() => {})
    }
    return this.#isStale
  }

  async look(): Promise<void> {
    const heard = await this.#store.snapshot(readNamespaceHeard)
    this.#isStale = heard === undefined || this.#world.now() - heard > this.#staleness
  }

  /** Waits until the replica has come so far; false: it has not, within so many milliseconds, or follows another root by now. */
  async reaches(
    { incarnation, position }: NamespacePlace,
    milliseconds: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    const arrived = async (inner: AbortSignal): Promise<boolean> => {
      for (;;) {
        inner.throwIfAborted()
        const changed = this.#store.watch(keys.namespaceCursor, inner)
        changed.catch(() => {})
        const cursor = await this.#store.snapshot(readNamespaceCursor)
        const isWhole = cursor?.incarnation === incarnation && cursor.copiedTo === undefined
        if (isWhole && Buffer.compare(cursor.position, position) >= 0) return true
        await changed
      }
    }
    return await stoppedAfter(this.#world, milliseconds, signal, arrived).catch(() => false)
  }
}
