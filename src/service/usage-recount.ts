import { under } from '#src/metadata/keyspace.ts'
import { readStored } from '#src/metadata/usage-records.ts'
import { decodeSummary } from '#src/metadata/version-codec.ts'
import type { StoredByClass } from '#src/model/usage.ts'
import { type Snapshot, type Store, StoreError } from '#src/store/store.ts'
import { afterKey } from '#src/store/tuple.ts'

const rowsPerRead = 1_000
/** A larger bucket is read in several snapshots, and only believed if its counts stood still meanwhile. */
const rowsPerSnapshot = 200_000
const tries = 3

export interface Counted {
  readonly counted: StoredByClass
  /** What was kept of it, at the same moment. */
  readonly kept: StoredByClass
}

/** Every version of a bucket, read one by one. Undefined: it changes too much for its size. */
export async function countRecords(store: Store, bucket: number): Promise<Counted | undefined> {
  try {
    const found = await store.snapshot(async (snapshot) => {
      const tally = new Tally()
      const isWhole = await tally.take(snapshot, bucket, rowsPerSnapshot)
      return isWhole ? { counted: tally.all(), kept: await readStored(snapshot, bucket) } : undefined
    })
    if (found !== undefined) return found
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'transaction_too_old') throw error
  }
  for (let attempt = 0; attempt < tries; attempt++) {
    const found = await countInPages(store, bucket)
    if (found !== undefined) return found
  }
  return undefined
}

async function countInPages(store: Store, bucket: number): Promise<Counted | undefined> {
  const before = await store.snapshot((snapshot) => readStored(snapshot, bucket))
  const tally = new Tally()
  while (!(await store.snapshot((snapshot) => tally.take(snapshot, bucket, rowsPerRead)))) {
    // Goes on where it is.
  }
  const after = await store.snapshot((snapshot) => readStored(snapshot, bucket))
  const isQuiet =
    before.size === after.size &&
    [...before].every(([name, { objects, bytes }]) => {
      const now = after.get(name)
      return now?.objects === objects && now.bytes === bytes
    })
  return isQuiet ? { counted: tally.all(), kept: after } : undefined
}

/**
 * The versions of a bucket: rows of `current` that are `null`, and all of `version`; the newest of those is under `current` too.
 */
class Tally {
  readonly #found = new Map<string, { objects: bigint; bytes: bigint }>()
  #space: 'current' | 'version' | undefined = 'current'
  #from: Uint8Array | undefined

  /** Goes on by so many rows; whether that was all. */
  async take(snapshot: Snapshot, bucket: number, rows: number): Promise<boolean> {
    let left = rows
    while (this.#space !== undefined && left > 0) {
      const all = under(this.#space, [bucket])
      const limit = Math.min(left, rowsPerRead)
      const entries = await snapshot.range(this.#from ?? all.from, all.to, { limit })
      for (const { value } of entries) this.#add(this.#space, value)
      left -= entries.length
      const last = entries.at(-1)
      if (last !== undefined && entries.length === limit) this.#from = afterKey(last.key)
      else {
        this.#space = this.#space === 'current' ? 'version' : undefined
        this.#from = undefined
      }
    }
    return this.#space === undefined
  }

  #add(space: 'current' | 'version', record: Uint8Array): void {
    const version = decodeSummary(record)
    if (version.kind === 'marker' || (space === 'current' && !version.isNull)) return
    const stored = this.#found.get(version.storageClass) ?? { objects: 0n, bytes: 0n }
    stored.objects++
    stored.bytes += BigInt(version.size)
    this.#found.set(version.storageClass, stored)
  }

  all(): StoredByClass {
    return this.#found
  }
}
