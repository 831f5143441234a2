import type { Snapshot } from '#src/store/store.ts'

/** How far cells have followed each other's feeds, as freeing a blob has to know (C19). */
export interface Positions {
  /** Where this cell's feeds end, all partitions: what a cell that asks again hands back as it is. */
  heads(from: Snapshot): Promise<Uint8Array>
  /** Whether this cell has applied that cell's feeds up to where they ended then; false also where they began anew since. */
  hasReached(from: Snapshot, cell: number, heads: Uint8Array): Promise<boolean>
}
