import { PassingTransaction, passedOn } from '#src/store/passing.ts'
import { type Snapshot, type Store, StoreError, type Transaction } from '#src/store/store.ts'
import { TupleReader } from '#src/store/tuple.ts'
import { decodeJson, encodeJson } from './json-rows.ts'
import { keys, subspace, under } from './keyspace.ts'

/**
 * The nodes that share a cell, which volumes each has, and which of them does what is done once in a cell.
 *
 * N1  a commit that names bytes of a volume, or raises the generation of one of its segments, is made only by the node that has the
 *     volume: so of two nodes with one volume (a copied disk), one writes and sweeps.
 * N2  what the leading node commits as such fails once another has taken the lead.
 */
export interface NodeRecord {
  /** Where other nodes of the cell reach it, as an origin. */
  readonly peer: string
  /** Grows as long as it lives; how long ago that was, each of the others measures by its own clock. */
  readonly beat: number
  /** When it last said so, in milliseconds since the epoch: for people. */
  readonly at: number
  /** The newest layout of rows that the program knows which it was last started with; absent: the first. */
  readonly layout?: number
  /** It said that it stops. */
  readonly hasLeft?: boolean
}

export interface Lead {
  readonly node: string
  /** Grows with every change of the lead. */
  readonly term: number
}

const format = 1
const nodesMost = 1_000
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8')

/** By id, which is the name that the cluster knows their data directories by. */
export async function readNodes(from: Snapshot): Promise<ReadonlyMap<string, NodeRecord>> {
  const all = under('node', [])
  const rows = await from.range(all.from, all.to, { limit: nodesMost })
  return new Map(rows.map(({ key, value }) => [new TupleReader(key, 1).text(), decodeJson<NodeRecord>(format, value)]))
}

export async function readNode(from: Snapshot, node: string): Promise<NodeRecord | undefined> {
  const bytes = await from.get(keys.node(node))
  return bytes === undefined ? undefined : decodeJson<NodeRecord>(format, bytes)
}

export function setNode(to: Transaction, node: string, record: NodeRecord): void {
  to.set(keys.node(node), encodeJson(format, record))
}

/** Forgets a node; its volumes are nobody's, and any node that has their disks may take them. */
export async function removeNode(to: Transaction, node: string): Promise<void> {
  for (const [volume, owner] of await readVolumes(to)) if (owner === node) to.clear(keys.volume(volume))
  to.clear(keys.node(node))
}

/** Which node has which volume. */
export async function readVolumes(from: Snapshot): Promise<ReadonlyMap<string, string>> {
  const all = under('volume', [])
  const rows = await from.range(all.from, all.to, { limit: 10 * nodesMost })
  return new Map(rows.map(({ key, value }) => [new TupleReader(key, 1).text(), text(value)]))
}

export async function readVolume(from: Snapshot, volume: string): Promise<string | undefined> {
  const bytes = await from.get(keys.volume(volume))
  return bytes === undefined ? undefined : text(bytes)
}

/** Takes volumes that are nobody's; gives those that another node has. */
export async function claimVolumes(
  to: Transaction,
  node: string,
  volumes: readonly string[],
): Promise<readonly { readonly volume: string; readonly owner: string }[]> {
  const taken: { readonly volume: string; readonly owner: string }[] = []
  for (const volume of volumes) {
    const owner = await readVolume(to, volume)
    if (owner === undefined) to.set(keys.volume(volume), Buffer.from(node))
    else if (owner !== node) taken.push({ volume, owner })
  }
  return taken
}

export async function readLead(from: Snapshot): Promise<Lead | undefined> {
  const bytes = await from.get(keys.lead)
  return bytes === undefined ? undefined : decodeJson<Lead>(format, bytes)
}

export function setLead(to: Transaction, lead: Lead): void {
  to.set(keys.lead, encodeJson(format, lead))
}

/** Looks at whose a volume is wherever the generation of a segment is looked at, which every commit does that names its bytes. */
class OwnersTransaction extends PassingTransaction {
  readonly #node: string

  constructor(inner: Transaction, node: string) {
    super(inner)
    this.#node = node
  }

  override async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    if (key[0] !== subspace.segment) return await super.get(key)
    const volume = new TupleReader(key, 1).text()
    const [found, owner] = await Promise.all([super.get(key), super.get(keys.volume(volume))])
    if (owner === undefined || text(owner) !== this.#node) {
      throw new StoreError('unavailable', `the volume ${volume} is not this node's any more`)
    }
    return found
  }
}

/** The store of one of several nodes (N1). */
export const guardVolumes = (store: Store, node: string): Store => ({
  ...passedOn(store),
  transact: (body, since) => store.transact((transaction) => body(new OwnersTransaction(transaction, node)), since),
})

/** The store of work that is done once in a cell: `lead` gives under which lead, at the time of the transaction (N2). */
export const fenceLead = (store: Store, lead: () => Lead | undefined): Store => ({
  ...passedOn(store),
  transact: (body, since) =>
    store.transact(async (transaction) => {
      const [mine, now] = [lead(), await readLead(transaction)]
      if (mine === undefined || now?.node !== mine.node || now.term !== mine.term) {
        throw new StoreError('unavailable', 'another node has taken the lead')
      }
      return await body(transaction)
    }, since),
})
