import {
  fenceLead,
  type Lead,
  type NodeRecord,
  readLead,
  readNode,
  readNodes,
  readVolumes,
  setLead,
  setNode,
} from '#src/metadata/node-records.ts'
import type { Store } from '#src/store/store.ts'
import type { World } from '#src/world.ts'

/** Milliseconds between two signs of life, which are also the looks at the others. */
const beatMilliseconds = 2_000
/** Without a sign of life for so long, a node counts as dead: by the clock of whoever looks, from when it last saw one. */
const deadMilliseconds = 10_000
/** Of that time, without having reached the cell: then the leading node stops, before another begins. */
const loseShare = 0.6

export interface CellNodesParts {
  /** Neither recorded nor guarded. */
  readonly store: Store
  readonly world: World
  /** This node's id. */
  readonly node: string
  readonly failed: (what: string, error: unknown) => void
  /** This node was removed: it must not go on. */
  readonly removed: () => void
  readonly beat?: number
  readonly dead?: number
}

/** Who has the lead that a node gave back: its terms go on. */
const nobody = ''

interface Seen {
  readonly record: NodeRecord
  /** By our monotonic clock, when its beat last changed. */
  readonly changed: number
}

/**
 * The nodes that share this cell, as one process sees them.
 *
 * N3  at any time one node at most does what is done once in a cell; when it stops or dies another does, some ten seconds later.
 * N5  whoever leads does it: it begins again where the lead came back to it, and where it failed.
 */
export class CellNodes {
  readonly node: string
  readonly #parts: CellNodesParts
  readonly #dead: number
  #seen: ReadonlyMap<string, Seen> = new Map()
  #owners: ReadonlyMap<string, string> = new Map()
  #lead: Lead | undefined
  #looked = 0
  #reading: Promise<void> | undefined

  constructor(parts: CellNodesParts) {
    this.#parts = parts
    this.node = parts.node
    this.#dead = parts.dead ?? deadMilliseconds
  }

  /** The node that has a volume, by what was last read. */
  ownerOf(volume: string): string | undefined {
    return this.#owners.get(volume)
  }

  /** Whether another node that is known has it. */
  isElsewhere(volume: string): boolean {
    const owner = this.#owners.get(volume)
    return owner !== undefined && owner !== this.node && this.#seen.has(owner)
  }

  /** Where a node is; undefined: it is not known, or dead. */
  peerOf(node: string): string | undefined {
    const seen = this.#seen.get(node)
    return seen !== undefined && this.#isUp(seen) ? seen.record.peer : undefined
  }

  get isLeading(): boolean {
    return this.#lead !== undefined
  }

  /** A store for what is done under the lead (N2). */
  fenced(store: Store): Store {
    return fenceLead(store, () => this.#lead)
  }

  /** Reads what is there now; calls at the same time share one. */
  async refresh(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    await this.#reading
  }

  async #read(): Promise<void> {
    const { store, world } = this.#parts
    const { nodes, owners } = await store.snapshot(async (snapshot) => {
      const [nodes, owners] = await Promise.all([readNodes(snapshot), readVolumes(snapshot)])
      return { nodes, owners }
    })
    const now = world.monotonic()
    const before = this.#seen
    this.#seen = new Map(
      [...nodes].map(([id, record]) => {
        const known = before.get(id)
        const isSame = known !== undefined && known.record.beat === record.beat
        return [id, { record, changed: isSame ? known.changed : now }]
      }),
    )
    this.#owners = owners
    this.#looked = now
  }

  #isUp({ record, changed }: Seen): boolean {
    return record.hasLeft !== true && this.#parts.world.monotonic() - changed < this.#dead
  }

  /** What every process of a node does until the signal. */
  async watch(signal: AbortSignal): Promise<void> {
    const { world, failed, beat = beatMilliseconds } = this.#parts
    while (!signal.aborted) {
      await this.refresh().catch((error: unknown) => failed('looking at the nodes of this cell failed', error))
      await world.sleep(beat, signal).catch(() => undefined)
    }
  }

  /**
   * What one process of a node does until the signal: tells that it lives, and does `work` as long as it leads; its signal says when
   * that is over.
   */
  async run(signal: AbortSignal, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { world, failed, beat = beatMilliseconds } = this.#parts
    let leading: Leading | undefined
    const end = async (): Promise<void> => {
      this.#lead = undefined
      leading?.stop.abort()
      await leading?.running
      leading = undefined
    }
    while (!signal.aborted) {
      try {
        await this.#beat()
        await this.refresh()
        const lead = await this.#take()
        if (lead?.term !== this.#lead?.term || leading?.isOver === true) await end()
        this.#lead = lead
        if (lead !== undefined) leading ??= begin(work, (error) => failed('what is done once in a cell failed', error))
      } catch (error) {
        failed('telling that this node lives failed', error)
        if (world.monotonic() - this.#looked > loseShare * this.#dead) await end()
      }
      await world.sleep(beat, signal).catch(() => undefined)
    }
    const lead = this.#lead
    await end()
    await this.#leave(lead).catch((error: unknown) => failed('telling that this node stops failed', error))
  }

  async #beat(): Promise<void> {
    const { store, world, node, removed } = this.#parts
    const isKnown = await store.transact(async (transaction) => {
      const own = await readNode(transaction, node)
      if (own === undefined) return false
      const { hasLeft: _, ...record } = own
      setNode(transaction, node, { ...record, beat: record.beat + 1, at: world.now() })
      return true
    })
    if (!isKnown) removed()
  }

  /** The lead, where this node has it; takes it where nobody who lives has it. */
  async #take(): Promise<Lead | undefined> {
    const { store, node } = this.#parts
    return await store.transact(async (transaction) => {
      const now = await readLead(transaction)
      if (now !== undefined && now.node === node && now.term === this.#lead?.term) return now
      const seen = now === undefined || now.node === node ? undefined : this.#seen.get(now.node)
      if (seen !== undefined && this.#isUp(seen)) return undefined
      // Nobody's, a dead node's, or that of a process of this node that ended.
      const taken = { node, term: (now?.term ?? 0) + 1 }
      setLead(transaction, taken)
      return taken
    })
  }

  /** The others need not wait. */
  async #leave(lead: Lead | undefined): Promise<void> {
    const { store, node } = this.#parts
    await store.transact(async (transaction) => {
      const own = await readNode(transaction, node)
      if (own !== undefined) setNode(transaction, node, { ...own, hasLeft: true })
      const now = await readLead(transaction)
      if (lead !== undefined && now?.node === node && now.term === lead.term) {
        setLead(transaction, { node: nobody, term: lead.term })
      }
    })
  }
}

interface Leading {
  readonly stop: AbortController
  readonly running: Promise<void>
  isOver: boolean
}

function begin(work: (signal: AbortSignal) => Promise<void>, failed: (error: unknown) => void): Leading {
  const stop = new AbortController()
  const running = work(stop.signal)
    .catch(failed)
    .finally(() => {
      leading.isOver = true
    })
  const leading: Leading = { stop, running, isOver: false }
  return leading
}
