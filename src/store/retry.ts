import type { World } from '#src/world.ts'

/** Conflicts at which a transaction runs again at once: its rivals have just committed, so the next run mostly gets through. */
const patience = 4
/** Milliseconds; longer than a commit of a slow disk, much shorter than a client's patience. */
const longestPause = 64

/** Waits before a body runs again, the longer the more often it did; at random, so that rivals come apart. */
export async function pause(world: World, conflicts: number): Promise<void> {
  if (conflicts <= patience) return
  const most = Math.min(longestPause, 2 ** (conflicts - patience))
  const chance = (world.randomBytes(1)[0] ?? 0) / 256
  // Somebody waits for the transaction, so the process must not end over this, as it may over background work.
  await world.sleep(1 + chance * most, new AbortController().signal, { ref: true })
}
