import type { View } from '#src/store/overlay.ts'
import type { Write } from '#src/store/writes.ts'
import type { KnownMembers, Region } from './region.ts'

/** Told of what becomes of members. */
export interface RosterListener {
  /** One is no member any more, by this view of the cell that says so. */
  readonly left: (cell: number, after: View) => void
  /** Who is a member has changed. */
  readonly changed: () => void
}

/** Who is a member of what the regions are together, and how that changes. */
export interface Roster extends KnownMembers {
  /** Told of each commit, before anybody can see it. */
  committed(region: Region, writes: readonly Write[], before: View, after: View): void
  /** Makes a region a member that has nothing yet, and starts it. */
  join(region: Region): Promise<void>
  /** From now on it wants to go. */
  leave(region: Region): Promise<void>
  /** Ends the membership of one that is lost, whatever only that one has. */
  remove(region: Region): Promise<void>
  /** One that is down comes back under another incarnation. */
  rename(region: Region): Promise<void>
}
