import type { Membership } from '#src/model/region.ts'
import type { View } from '#src/store/overlay.ts'
import type { Write } from '#src/store/writes.ts'
import type { Region } from './region.ts'

/** Who is a member of what the regions are together, and how that changes. */
export interface Roster {
  /** As it is. */
  readonly membership: Membership
  /** Whether each cell knows it by its own rows alone; else all know it at once. */
  readonly isByRows: boolean
  /** As a cell knows it, by what its store holds. */
  knownIn(view: View): Membership
  /** Before anything begins: what a region's own store says of it. */
  prepare(region: Region): Promise<void>
  /** Makes a region a member that has nothing yet, and starts it. */
  join(region: Region): Promise<void>
  /** From now on it wants to go. */
  leave(region: Region): Promise<void>
  /** Ends the membership of one that is lost, whatever only that one has. */
  remove(region: Region): Promise<void>
  /** One that is down comes back under another incarnation. */
  rename(region: Region): Promise<void>
  /** Told of each commit, before anybody can see it. */
  committed(region: Region, writes: readonly Write[], before: View, after: View): void
}
