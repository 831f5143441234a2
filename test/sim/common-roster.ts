import { decodeRow } from '#src/metadata/namespace-codec.ts'
import { clusterKey } from '#src/metadata/namespace-keys.ts'
import type { Member, Membership } from '#src/model/region.ts'
import type { View } from '#src/store/overlay.ts'
import type { Write } from '#src/store/writes.ts'
import type { Region } from './region.ts'
import type { Roster, RosterListener } from './roster.ts'

/** A membership that everybody knows at once; that one ends, the root says by its own transaction. */
export class CommonRoster implements Roster {
  readonly isByRows = false
  readonly #heard: RosterListener
  #membership: Membership

  constructor(members: readonly Member[], heard: RosterListener) {
    this.#membership = { epoch: 1, root: 1, members }
    this.#heard = heard
  }

  get membership(): Membership {
    return this.#membership
  }

  knownIn(): Membership {
    return this.#membership
  }

  async prepare(): Promise<void> {}

  async join(region: Region): Promise<void> {
    this.#change([...this.#membership.members, region.member])
    region.start()
  }

  async leave({ member }: Region): Promise<void> {
    this.#changeState(member.cell, 'leaving')
  }

  async remove(): Promise<void> {
    throw new Error('nobody is lost where all know the same at once')
  }

  async rename({ member: { cell, incarnation } }: Region): Promise<void> {
    this.#change(this.#membership.members.map((each) => (each.cell === cell ? { ...each, incarnation } : each)))
  }

  committed({ member }: Region, writes: readonly Write[], _: View, after: View): void {
    if (member.cell !== this.#membership.root) return
    if (!writes.some((write) => write.kind === 'set' && Buffer.compare(write.key, clusterKey) === 0)) return
    const row = after.get(clusterKey)
    const { members } = row === undefined ? { members: [] } : decodeRow<Membership>(row)
    for (const { cell, state } of members) {
      if (state !== 'removed' || this.#stateOf(cell) === 'removed') continue
      this.#changeState(cell, 'removed')
      this.#heard.left(cell, after)
    }
  }

  #stateOf(cell: number): Member['state'] | undefined {
    return this.#membership.members.find((each) => each.cell === cell)?.state
  }

  #changeState(cell: number, state: Member['state']): void {
    this.#change(this.#membership.members.map((each) => (each.cell === cell ? { ...each, state } : each)))
  }

  #change(members: readonly Member[]): void {
    this.#membership = { ...this.#membership, epoch: this.#membership.epoch + 1, members }
    this.#heard.changed()
  }
}
