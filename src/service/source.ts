import type { BlobRecord } from '#src/metadata/blob-codec.ts'
import type { Part } from '#src/model/version.ts'

/** What a read of some bytes needs to know of an object, beyond its record. */
export type Source =
  | { readonly kind: 'inline'; readonly bytes: Uint8Array }
  | { readonly kind: 'blob'; readonly blob: string; readonly record: BlobRecord }
  /** `records`: of the parts' blobs, where this cell has none of them. */
  | {
      readonly kind: 'manifest'
      readonly parts: readonly Part[]
      readonly records?: ReadonlyMap<string, BlobRecord>
    }
