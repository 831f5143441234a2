import type { Extent } from '#src/model/blob.ts'
import type { View } from '#src/store/overlay.ts'

/** One cell, when everything is quiet. */
export interface QuietCell {
  readonly name: string
  readonly view: View
  /** The ids of the buckets that it is a cell of. */
  readonly here: ReadonlySet<number>
  /** Its replicated rows, in a form that is equal in two cells exactly if the records are. */
  readonly rows: ReadonlyMap<string, string>
  /** Whether its disk still has all bytes of a copy. */
  readonly isWhole: (extents: readonly Extent[]) => boolean
}
