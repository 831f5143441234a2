import { type Asking, admit } from '#src/cluster/admission.ts'
import { admitRegion, found, newIncarnation, type Standing, settle } from '#src/cluster/founding.ts'
import { Members } from '#src/cluster/members.ts'
import { Region } from '#src/cluster/region.ts'
import { type Method, PeerUnreachable, type Transport } from '#src/cluster/transport.ts'
import { ClusterRecords } from '#src/metadata/cluster-records.ts'
import { Namespace } from '#src/metadata/namespace.ts'
import { governNamespace } from '#src/metadata/namespace-feed.ts'
import { MemoryStore } from '#src/store/memory/memory-store.ts'
import type { Store } from '#src/store/store.ts'
import { realWorld } from '#src/world.ts'

/** A cell without a gateway: what `src/cluster` is, over stores in memory. */
export interface BareCell {
  readonly cell: number
  /** Unguarded. */
  readonly bare: Store
  readonly store: Store
  readonly region: Region
  readonly namespace: Namespace
}

/** Cells that call each other in memory, and a wire that a test may cut. */
export class Wire {
  readonly #methods = new Map<number, { readonly cell: BareCell; readonly methods: readonly Method[] }>()
  readonly cut = new Set<number>()
  /** Method and cell that was asked, in order. */
  readonly calls: string[] = []

  connect(cell: BareCell): void {
    this.#methods.set(cell.cell, { cell, methods: cell.region.methods })
  }

  transportOf(members: () => Members): Transport {
    const ask = async (cell: number, name: string, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array> => {
      const { self, membership } = members()
      const asking: Asking = { ...self, epoch: membership.epoch }
      this.calls.push(`${name} ${cell}`)
      const there = this.#methods.get(cell)
      if (there === undefined || this.cut.has(cell) || this.cut.has(self.cell)) throw new PeerUnreachable(cell)
      const caller = admit(there.cell.region.members.membership, asking)
      if (typeof caller === 'string') throw new PeerUnreachable(cell, { cause: new Error(caller) })
      const method = there.methods.find((each) => each.name === name)
      const result = method?.answer(request, caller, signal)
      if (!(result instanceof Promise)) throw new Error(`no method ${name}`)
      return await result
    }
    return {
      ask,
      async *stream(...args) {
        yield await ask(...args)
      },
    }
  }
}

function open(bare: Store, standing: Standing, wire: Wire): BareCell {
  const store = governNamespace(bare, standing.self.cell)
  const members = new Members({ store: bare, records: new ClusterRecords(), ...standing })
  const region = new Region({
    store: bare,
    recording: store,
    world: realWorld,
    members,
    transport: wire.transportOf(() => members),
    staleness: 60_000,
    confirmPatience: 300,
    failed: () => {},
  })
  const cell = { cell: standing.self.cell, bare, store, region, namespace: new Namespace() }
  wire.connect(cell)
  return cell
}

const locationOf = (region: string) => ({ region, geography: '', peer: `http://${region}.test:1` })

export async function openRoot(wire: Wire, bare: Store = new MemoryStore({ world: realWorld })): Promise<BareCell> {
  return open(bare, await found(bare, realWorld, locationOf('fra')), wire)
}

/** Another process of the same cell, which starts now. */
export const openAgain = ({ bare, region: { members } }: BareCell, wire: Wire): BareCell =>
  open(bare, { self: members.self, membership: members.membership }, wire)

export async function openReplica(wire: Wire, root: BareCell, region: string): Promise<BareCell> {
  const bare = new MemoryStore({ world: realWorld })
  const request = { ...locationOf(region), incarnation: newIncarnation(realWorld) }
  const answer = await admitRegion(root.store, root.namespace, request)
  await root.region.members.refresh()
  return open(bare, await settle(bare, request, answer), wire)
}

export const never = new AbortController().signal
