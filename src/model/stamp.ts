/**
 * A hybrid logical clock value: microseconds since the epoch × 1000 + the number of the cell that drew it (C7). Unique per
 * key, totally ordered; 19 decimal digits until the year 2286, so it serves as an S3 version id as it is.
 */
export type Stamp = bigint

const perMicrosecond = 1000n

/** In milliseconds since the epoch. */
export const timeOf = (stamp: Stamp): number => Number(stamp / (perMicrosecond * 1000n))

/** The next stamp of a key in a cell: above the clock's reading and above everything the key remembers. */
export function nextStamp(nowMicroseconds: bigint, largestSeen: Stamp, cell: number): Stamp {
  const after = largestSeen / perMicrosecond + 1n
  const microseconds = after > nowMicroseconds ? after : nowMicroseconds
  return microseconds * perMicrosecond + BigInt(cell)
}

export const formatStamp = (stamp: Stamp): string => stamp.toString().padStart(19, '0')

/** The stamp that a version id on the wire names; undefined if it is none that we could have made. */
export function parseStamp(text: string): Stamp | undefined {
  return /^\d{19}$/.test(text) ? BigInt(text) : undefined
}
