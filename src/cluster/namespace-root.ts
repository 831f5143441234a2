import { Fault } from '#src/errors.ts'
import { keys } from '#src/metadata/keyspace.ts'
import { readNamespaceHead, readNamespacePage } from '#src/metadata/namespace-feed.ts'
import { wholeNamespace } from '#src/metadata/namespace-keys.ts'
import { type NamespacePlace, readConfirmed, setConfirmed } from '#src/metadata/namespace-replica.ts'
import type { Entry, Snapshot, Store } from '#src/store/store.ts'
import { afterKey } from '#src/store/tuple.ts'
import type { World } from '#src/world.ts'
import type { Members } from './members.ts'
import { bytesOf, decodeMessage, encodeMessage, textOf } from './messages.ts'
import {
  type CopyAnswer,
  type CopyRequest,
  type FollowAnswer,
  type FollowRequest,
  writeChange,
  writeRows,
} from './namespace-messages.ts'
import { stoppedAfter } from './patience.ts'
import type { PeerHealth } from './peer-health.ts'
import { rootOf } from './promotion.ts'
import type { Caller, Method } from './transport.ts'

export interface NamespaceRootParts {
  readonly store: Store
  readonly world: World
  readonly members: Pick<Members, 'self' | 'isRoot' | 'peers' | 'membership'>
}

const rowsPerPage = 500
const bytesPerPage = 1 << 20
/** No root keeps a replica waiting for longer, in milliseconds. */
const waitMost = 25_000

/**
 * What the root answers to those that follow it.
 *
 * Y4  what a replica asks for next is what it has applied: its request is its confirmation (C24).
 */
export class NamespaceRoot {
  readonly #store: Store
  readonly #world: World
  readonly #members: NamespaceRootParts['members']

  constructor({ store, world, members }: NamespaceRootParts) {
    this.#store = store
    this.#world = world
    this.#members = members
  }

  methods(): readonly Method[] {
    return [
      {
        name: 'namespace-follow',
        answer: async (request, caller, signal) =>
          encodeMessage(await this.#follow(decodeMessage(request), caller, signal)),
      },
      { name: 'namespace-copy', answer: async (request) => encodeMessage(await this.#copy(decodeMessage(request))) },
    ]
  }

  get #root(): string {
    const { self, membership } = this.#members
    return rootOf(self.incarnation, membership)
  }

  #checkRoot(): void {
    if (!this.#members.isRoot) throw new Fault('ServiceUnavailable', { message: 'This cell is not the root.' })
  }

  async #copy({ after }: CopyRequest): Promise<CopyAnswer> {
    this.#checkRoot()
    const start = after === undefined ? wholeNamespace.from : afterKey(bytesOf(after))
    return await this.#store.snapshot(async (snapshot) => {
      const head = await readNamespaceHead(snapshot)
      const { rows, hasMore } = await bounded(snapshot, start)
      return { incarnation: this.#root, head: textOf(head), rows: writeRows(rows), hasMore }
    })
  }

  async #follow(request: FollowRequest, caller: Caller, signal: AbortSignal): Promise<FollowAnswer> {
    this.#checkRoot()
    if (request.incarnation !== this.#root) return { kind: 'other' }
    const position = bytesOf(request.position)
    await this.#confirm(caller.cell, position)
    const page = await this.#page(position, Math.min(request.wait, waitMost), signal)
    return {
      kind: 'page',
      position: request.position,
      end: textOf(page.end),
      hasMore: page.hasMore,
      changes: page.changes.map(writeChange),
    }
  }

  async #confirm(cell: number, position: Uint8Array): Promise<void> {
    const standing = await this.#store.snapshot((snapshot) => readConfirmed(snapshot, cell))
    if (Buffer.compare(standing, position) === 0) return
    await this.#store.transact(async (transaction) => setConfirmed(transaction, cell, position))
  }

  async #page(position: Uint8Array, wait: number, signal: AbortSignal): ReturnType<typeof readNamespacePage> {
    const look = () => this.#store.snapshot((snapshot) => readNamespacePage(snapshot, position))
    if (wait === 0) return await look()
    return await stoppedAfter(this.#world, wait, signal, async (inner) => {
      const changed = this.#store.watch(keys.namespaceHead, inner)
      changed.catch(() => {})
      const page = await look()
      if (page.changes.length > 0 || Buffer.compare(page.end, position) > 0) return page
      await changed
      return await look()
    }).catch(async (error: unknown) => {
      if (signal.aborted) throw error
      return await look()
    })
  }
}

async function bounded(from: Snapshot, start: Uint8Array): Promise<{ rows: readonly Entry[]; hasMore: boolean }> {
  const found = await from.range(start, wholeNamespace.to, { limit: rowsPerPage })
  let bytes = 0
  const within = found.findIndex(({ key, value }) => {
    bytes += key.length + value.length
    return bytes > bytesPerPage
  })
  // One row always fits a message.
  const rows = within < 0 ? found : found.slice(0, Math.max(1, within))
  return { rows, hasMore: rows.length < found.length || found.length === rowsPerPage }
}

export interface ConfirmationsParts extends NamespaceRootParts {
  readonly health: PeerHealth
  /** How long an answer waits for replicas at most, in milliseconds. */
  readonly patience?: number
}

/** After a change of the namespace: whether all cells that can be reached have it (C24). */
export class Confirmations {
  readonly #parts: ConfirmationsParts

  constructor(parts: ConfirmationsParts) {
    this.#parts = parts
  }

  /** Behind all that is committed now. */
  async head(): Promise<NamespacePlace> {
    const { store, members } = this.#parts
    const incarnation = rootOf(members.self.incarnation, members.membership)
    return { incarnation, position: await store.snapshot(readNamespaceHead) }
  }

  /** Waits until every cell that answers has come so far; gives the regions that have not. */
  async wait({ position }: NamespacePlace, signal: AbortSignal): Promise<readonly string[]> {
    const { members, health, world, patience = 5_000 } = this.#parts
    const peers = members.peers.filter(({ state }) => state !== 'joining')
    const reached = await Promise.all(
      peers.map(async ({ cell, region }) => {
        const isThere = health.state(cell).isUp
          ? await stoppedAfter(world, patience, signal, (inner) => this.#arrived(cell, position, inner)).catch(
              () => false,
            )
          : await this.#has(cell, position)
        return isThere ? undefined : region
      }),
    )
    return reached.filter((region) => region !== undefined).sort()
  }

  async #has(cell: number, head: Uint8Array): Promise<boolean> {
    const confirmed = await this.#parts.store.snapshot((snapshot) => readConfirmed(snapshot, cell))
    return Buffer.compare(confirmed, head) >= 0
  }

  async #arrived(cell: number, head: Uint8Array, signal: AbortSignal): Promise<boolean> {
    for (;;) {
      signal.throwIfAborted()
      const changed = this.#parts.store.watch(keys.namespaceConfirmed(cell), signal)
      changed.catch(() => {})
      if (await this.#has(cell, head)) return true
      await changed
    }
  }
}
