import type { KnownMembers, Region } from './region.ts'

/** Who is a member of what the regions are together, and how that changes. */
export interface Roster extends KnownMembers {
  /** Makes a region a member that has nothing yet, and starts it. */
  join(region: Region): Promise<void>
  /** From now on it wants to go. */
  leave(region: Region): Promise<void>
  /** Ends the membership of one that is lost, whatever only that one has. */
  remove(region: Region): Promise<void>
  /** One that is down comes back under another incarnation. */
  rename(region: Region): Promise<void>
}
