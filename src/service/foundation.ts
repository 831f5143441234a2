import type { Blobs } from '#src/blobs/blobs.ts'
import type { Keys } from '#src/encryption/key-provider.ts'
import type { Namespace } from '#src/metadata/namespace.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { Tier } from '#src/model/tier.ts'
import type { Store } from '#src/store/store.ts'
import type { World } from '#src/world.ts'
import type { ForeignObjects } from './foreign-objects.ts'
import type { LogOptions } from './log-options.ts'
import type { RemoteBlobs } from './remote-blobs.ts'
import type { Durability } from './spread.ts'

/** What the services of objects and uploads are made of. */
export interface Foundation {
  readonly store: Store
  readonly world: World
  readonly namespace: Namespace
  readonly blobs: Blobs
  /** Code of the region that this process is in: names the holders it makes. */
  readonly region: string
  /** Number of the cell, 0–999: the last digits of its stamps. */
  readonly cell: number
  /** Objects of up to so many bytes lie beside their record. */
  readonly inlineBytesMax: number
  /** Of the parts of an upload, but the last. Absent: as S3 asks; a simulation has no time for 5 MiB. */
  readonly partBytesMin?: number
  /** What data keys are wrapped with. Absent: nothing encrypted can be written or read. */
  readonly keys?: Keys
  /** Throws where the metadata's disk has no room for more (C3). Absent: nobody looks. */
  readonly space?: { check(): void }
  /** Storage classes at other endpoints, by name. Absent: none. */
  readonly tiers?: ReadonlyMap<string, Tier>
  /** How long a day is, of lifecycle rules and of restored copies: 24 h, but for tests. */
  readonly dayMilliseconds?: number
  /** Throws where this node's clock is not to be believed, before it draws a stamp (C8). Absent: there is nobody to compare with. */
  readonly clock?: { check(): void }
  /** Whether records of other cells come here: then a bucket's setting does not tell which rows its keys have (C13). */
  readonly hasPeers?: boolean
  /** What an acknowledged write survives besides. Absent: nobody else has to have it. */
  readonly durability?: Durability
  /** Whether what is done once for a bucket, and not once in each cell, is done here (C23). Absent: it is. */
  isHome?(bucket: Bucket): boolean
  /** Whether this cell is one of a bucket's (C22). Absent: there is no other. */
  hasBucket?(bucket: Bucket): boolean
  /** What other regions hold. Absent: there are none. */
  readonly remote?: RemoteBlobs
  /** Objects of buckets that are in other cells only. Absent: there are none. */
  readonly foreign?: ForeignObjects
  /** How buckets are logged. Absent: as by default. */
  readonly logs?: LogOptions
}
