import { Fault } from '#src/errors.ts'
import { type Departure, setDeparture } from '#src/metadata/departure-records.ts'
import { Namespace } from '#src/metadata/namespace.ts'
import type { Store } from '#src/store/store.ts'
import { changeMember, letGo } from './founding.ts'
import type { Members } from './members.ts'
import { decodeMessage } from './messages.ts'
import type { Method } from './transport.ts'

export interface Moved {
  /** Of its peer API, as an origin. */
  readonly peer: string
  readonly geography: string
}

const nothing = new Uint8Array(0)

/** What a member may have the root change about itself. */
export function memberMethods(recording: Store, members: Members): readonly Method[] {
  const checkRoot = (): void => {
    if (!members.isRoot) throw new Fault('ServiceUnavailable', { message: 'This cell is not the root.' })
  }
  return [
    {
      name: 'member-active',
      async answer(_, { cell }) {
        checkRoot()
        await changeMember(recording, cell, (member) =>
          member.state === 'joining' ? { ...member, state: 'active' } : member,
        )
        return nothing
      },
    },
    {
      name: 'member-leaving',
      async answer(request, { cell }) {
        checkRoot()
        const departure = decodeMessage<Departure>(request)
        await recording.transact(async (transaction) => setDeparture(transaction, cell, departure))
        return nothing
      },
    },
    {
      name: 'member-left',
      async answer(request, { cell }) {
        checkRoot()
        await letGo(recording, new Namespace(), cell, decodeMessage<Departure>(request))
        return nothing
      },
    },
    {
      name: 'member-moved',
      async answer(request, { cell }) {
        checkRoot()
        const { peer, geography } = decodeMessage<Moved>(request)
        await changeMember(recording, cell, (member) =>
          member.peer === peer && member.geography === geography ? member : { ...member, peer, geography },
        )
        return nothing
      },
    },
  ]
}
