import { admit } from '#src/cluster/admission.ts'
import { letGo } from '#src/cluster/founding.ts'
import { Members } from '#src/cluster/members.ts'
import { decodeMessage } from '#src/cluster/messages.ts'
import { NamespaceFollower } from '#src/cluster/namespace-follower.ts'
import { NamespaceRoot } from '#src/cluster/namespace-root.ts'
import { Region } from '#src/cluster/region.ts'
import type { Method } from '#src/cluster/transport.ts'
import { ClusterRecords } from '#src/metadata/cluster-records.ts'
import type { Departure } from '#src/metadata/departure-records.ts'
import { Namespace } from '#src/metadata/namespace.ts'
import { governNamespace, NotTheRoot } from '#src/metadata/namespace-feed.ts'
import { type Membership, memberOf } from '#src/model/region.ts'
import { passedOn } from '#src/store/passing.ts'
import type { Store } from '#src/store/store.ts'
import type { Admission } from './network.ts'
import type { Composing } from './region.ts'

/** What a cell knows of itself and the others, and what it does to know it. */
export interface Knowledge {
  readonly members: Pick<Members, 'self' | 'membership' | 'peers' | 'isRoot' | 'isRemoved'>
  /** As all but the follower of the namespace have it. */
  readonly store: Store
  readonly methods: readonly Method[]
  readonly admits?: Admission
  isReachable(cell: number): boolean
  run(signal: AbortSignal): Promise<void>
}

const nothing = new Uint8Array(0)

/** As the root's. The simulation keeps the membership: each transaction finds it as it is, and the row that ends one is heard of. */
function rootMethods(store: Store, membership: () => Membership): readonly Method[] {
  const records = new ClusterRecords()
  const recording: Store = {
    ...passedOn(store),
    transact: (body) =>
      store.transact(async (transaction) => {
        records.setMembership(transaction, membership())
        return await body(transaction)
      }),
  }
  return [
    { name: 'member-leaving', answer: async () => nothing },
    {
      name: 'member-left',
      async answer(request, { cell }) {
        await letGo(recording, new Namespace(), cell, decodeMessage<Departure>(request))
        return nothing
      },
    },
  ]
}

/** Everybody knows the same at once, and the root stays it. */
export function commonKnowledge(
  { foundation: bare, self, membership, transport }: Composing,
  surprised: (error: unknown) => void,
): Knowledge {
  const members = {
    self,
    get membership() {
      return membership()
    },
    get peers() {
      return membership().members.filter(({ cell, state }) => cell !== self.cell && state !== 'removed')
    },
    isRoot: membership().root === self.cell,
    get isRemoved() {
      return memberOf(membership(), self.cell)?.state === 'removed'
    },
  }
  const { world } = bare
  const store = governNamespace(bare.store, self.cell)
  const follower = new NamespaceFollower({ store: bare.store, world, transport, members })
  return {
    members,
    store,
    methods: [...new NamespaceRoot({ store: bare.store, world, members }).methods(), ...rootMethods(store, membership)],
    isReachable: () => true,
    run: async (signal) => {
      if (!members.isRoot) await follower.run(signal, surprised)
    },
  }
}

/** What followers say that find that the root has changed. */
const changeOfRoot = /the root is lost|another process follows the root as well/

/** Each cell knows what its own rows say, as `src/cluster/region.ts` keeps up with them. */
export function knowledgeByRows(
  { foundation: bare, self, membership, transport }: Composing,
  surprised: (error: unknown) => void,
  caughtUp: (signal: AbortSignal) => Promise<void>,
): Knowledge {
  const { world } = bare
  const store = governNamespace(bare.store, self.cell)
  const records = new ClusterRecords()
  const members = new Members({ store: bare.store, records, self, membership: membership() })
  const region = new Region({
    ...{ store: bare.store, recording: store, world, members, transport, caughtUp },
    // Signatures are none of this.
    staleness: Number.POSITIVE_INFINITY,
    failed: (_, error) => {
      const isChange = error instanceof NotTheRoot || (error instanceof Error && changeOfRoot.test(error.message))
      if (!isChange) surprised(error)
    },
  })
  return {
    members,
    store,
    methods: region.methods,
    admits: ({ cell, incarnation }) =>
      !members.isRemoved && typeof admit(members.membership, { cell, incarnation, epoch: 0 }) !== 'string',
    isReachable: (cell) => region.health.state(cell).isUp,
    run: async (signal) => {
      await Promise.all([region.watch(signal), region.followRoot(signal)])
    },
  }
}
