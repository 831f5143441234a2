import type { Bucket } from '#src/model/bucket.ts'
import type { ObjectName } from '#src/model/names.ts'
import type { MigrationProgress, ShadowOptions } from '#src/model/shadow.ts'

/** Where else buckets' objects may be. Throws NoSuchBucket, InvalidArgument. */
export interface Shadows {
  /** Gives a bucket a shadow, or another one, or none. `guard` is shown the bucket in the transaction that changes it. */
  configure(name: string, options: ShadowOptions | undefined, guard: (bucket: Bucket) => void): Promise<Bucket>
  /** Has one object brought, some time later. Fault `NoSuchConfiguration` where the bucket has no shadow. */
  schedule(name: ObjectName): Promise<void>
  /** Begins to copy everything that the shadow has; one that runs goes on. Fault `NoSuchConfiguration` as above. */
  migrate(name: string, guard: (bucket: Bucket) => void): Promise<MigrationProgress>
  /** Ends the copying; what was brought stays. */
  cancel(name: string, guard: (bucket: Bucket) => void): Promise<MigrationProgress>
  progress(name: string, guard: (bucket: Bucket) => void): Promise<MigrationProgress>
}
