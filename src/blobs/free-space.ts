/** No look at a disk is older, in milliseconds. */
const oldest = 1_000
const youngest = 10
/** What the processes of a node may write together: 1 GiB a second. */
const bytesPerMillisecond = 2 ** 20

/**
 * How old a look at a disk may be, in milliseconds, before a write asks for another: whoever else writes meanwhile uses up at most
 * half of what was free, so at the edge of the reserve half of that is left (C3).
 */
export const lookMilliseconds = (free: number): number =>
  Math.min(oldest, Math.max(youngest, free / 2 / bytesPerMillisecond))

/** Free bytes of a disk that bodies and small objects leave alone: for metadata and compaction (C3). */
export const reserveOf = (total: number, given: number | undefined): number =>
  given ?? Math.max(1024 ** 3, total * 0.02)
