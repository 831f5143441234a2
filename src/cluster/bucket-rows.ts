import { Fault } from '#src/errors.ts'
import type { Namespace } from '#src/metadata/namespace.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { Snapshot, Store } from '#src/store/store.ts'
import type { World } from '#src/world.ts'

/** A bucket as the root's row has it: its epoch grows with each step of what is done to it (C22). */
export type NamedBucket = Pick<Bucket, 'name' | 'id' | 'epoch'>

export const nameOf = ({ name, id, epoch }: NamedBucket): NamedBucket => ({ name, id, epoch })

export interface BucketRows {
  readonly store: Store
  readonly world: World
  readonly namespace: Namespace
}

/** How often a cell looks whether it has come so far, in milliseconds. */
const lookMilliseconds = 20

export const bucketChanged = ({ name }: NamedBucket): Fault => new Fault('OperationAborted', { BucketName: name })

/** The bucket, by this cell's own row; undefined: that does not say so yet. Fault `OperationAborted`: it says something later. */
export async function readNamed(
  { namespace }: Pick<BucketRows, 'namespace'>,
  from: Snapshot,
  named: NamedBucket,
): Promise<Bucket | undefined> {
  const bucket = await namespace.bucket(from, named.name)
  if (bucket === undefined || bucket.id < named.id || bucket.epoch < named.epoch) return undefined
  if (bucket.id === named.id && bucket.epoch === named.epoch) return bucket
  throw bucketChanged(named)
}

/** What is found in the first snapshot in which there is something. */
export async function untilFound<Found>(
  { store, world }: Pick<BucketRows, 'store' | 'world'>,
  signal: AbortSignal,
  look: (from: Snapshot) => Promise<Found | undefined>,
): Promise<Found> {
  for (;;) {
    signal.throwIfAborted()
    const found = await store.snapshot(look)
    if (found !== undefined) return found
    await world.sleep(lookMilliseconds, signal)
  }
}
