import { addUsage, setOwner, takeBatch } from '#src/metadata/usage-records.ts'
import type { Store } from '#src/store/store.ts'

/** Counts of one process, that are added together and once (V11). */
export interface UsageBatch {
  readonly process: string
  readonly sequence: number
  readonly counts: readonly BatchedCount[]
}

export interface BatchedCount {
  readonly bucket: number
  readonly name: string
  readonly account: string
  readonly day: number
  /** By metric; in decimal digits, as JSON knows no such integers. */
  readonly values: Readonly<Record<string, string>>
}

export async function addBatch(store: Store, { process, sequence, counts }: UsageBatch, now: number): Promise<void> {
  await store.transact(async (transaction) => {
    if (!(await takeBatch(transaction, process, sequence, now))) return
    for (const { bucket, name, account, day, values } of counts) {
      await setOwner(transaction, bucket, { name, account })
      for (const [metric, value] of Object.entries(values)) {
        addUsage(transaction, bucket, day, metric, BigInt(value))
      }
    }
  })
}
