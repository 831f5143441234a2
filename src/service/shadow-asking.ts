import { laneOfShadow, type ShadowWork } from '#src/metadata/shadow-records.ts'
import { addTask, changeTask, taskId } from '#src/metadata/task-records.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { Transaction } from '#src/store/store.ts'
import type { Foundation } from './foundation.ts'

/**
 * Has a change of a key passed on to the bucket's shadow, in the transaction that makes it, where the shadow is written through.
 *
 * V5  whatever a crash leaves undone, in the end the shadow has of each key what is here, once changes of it stop.
 */
export async function passOn(
  { world }: Foundation,
  to: Transaction,
  { name, id: bucketId, shadow }: Bucket,
  key: string,
): Promise<void> {
  if (shadow?.writeThrough !== true) return
  const lane = laneOfShadow(bucketId)
  const id = taskId('pass', bucketId, key)
  const first: ShadowWork = { kind: 'pass', bucket: name, bucketId, shadow: shadow.id, key, generation: 1 }
  if (await addTask(to, { lane, id, work: first, since: world.now() })) return
  // Whoever is at it finds, when it is done, that there is more: what is passed on is how the key stands then.
  await changeTask(to, { lane, id }, (task) => {
    const { generation } = task.work as Extract<ShadowWork, { readonly kind: 'pass' }>
    return { ...task, work: { ...first, generation: generation + 1 } }
  })
}

/** Has one object brought, some time later. */
export async function askForImport(
  { world }: Foundation,
  to: Transaction,
  { name, id: bucketId, shadow }: Bucket,
  key: string,
): Promise<void> {
  if (shadow === undefined) return
  const work: ShadowWork = { kind: 'import', bucket: name, bucketId, shadow: shadow.id, key }
  const lane = laneOfShadow(bucketId)
  await addTask(to, { lane, id: taskId('import', bucketId, key), work, since: world.now() })
}
