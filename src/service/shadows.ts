import { Fault } from '#src/errors.ts'
import {
  laneOfShadow,
  readMigration,
  readProgress,
  type ShadowWork,
  setMigration,
} from '#src/metadata/shadow-records.ts'
import { addTask, taskId } from '#src/metadata/task-records.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { ObjectName } from '#src/model/names.ts'
import type { MigrationProgress, Shadow, ShadowOptions } from '#src/model/shadow.ts'
import type { Snapshot, Transaction } from '#src/store/store.ts'
import type { Foundation } from './foundation.ts'
import { randomId } from './random-words.ts'
import type { Buckets } from './services.ts'
import { askForImport } from './shadow-asking.ts'
import type { Shadows } from './shadow-services.ts'
import type { ShadowSources } from './shadow-sources.ts'

type Shadowed = Bucket & { readonly shadow: Shadow }
type BucketGuard = (bucket: Bucket) => void

/** What buckets have for shadows, and the copying of all that these have. */
export class CellShadows implements Shadows {
  readonly #foundation: Foundation
  readonly #buckets: Pick<Buckets, 'get' | 'update'>
  readonly #sources: ShadowSources

  constructor(foundation: Foundation, buckets: Pick<Buckets, 'get' | 'update'>, sources: ShadowSources) {
    this.#foundation = foundation
    this.#buckets = buckets
    this.#sources = sources
  }

  async configure(name: string, options: ShadowOptions | undefined, guard: BucketGuard): Promise<Bucket> {
    if (options !== undefined) this.#sources.check(options)
    const { id } = await this.#buckets.get(name)
    const shadow = options === undefined ? undefined : await this.#sealed(id, options)
    return await this.#buckets.update(name, (bucket) => {
      guard(bucket)
      // Made anew under the same name meanwhile: the secret is bound to the bucket that was.
      if (bucket.id !== id) throw new Fault('OperationAborted', { BucketName: name })
      const { shadow: _before, ...rest } = bucket
      return shadow === undefined ? rest : { ...rest, shadow }
    })
  }

  async #sealed(bucketId: number, { secretKey, ...options }: ShadowOptions): Promise<Shadow> {
    const { endpoint, ...rest } = options
    const secret = await this.#sources.seal(bucketId, secretKey)
    return { ...rest, id: randomId(this.#foundation.world), endpoint: endpoint.replace(/\/$/, ''), secret }
  }

  async schedule({ bucket, key }: ObjectName): Promise<void> {
    await this.#foundation.store.transact(async (transaction) => {
      const found = await this.#shadowed(transaction, bucket, () => {})
      await askForImport(this.#foundation, transaction, found, key)
    })
  }

  async migrate(name: string, guard: BucketGuard): Promise<MigrationProgress> {
    const { store, world } = this.#foundation
    return await store.transact(async (transaction) => {
      const bucket = await this.#shadowed(transaction, name, guard)
      const standing = await readMigration(transaction, bucket.id)
      const isRunning = standing?.shadow === bucket.shadow.id && standing.state === 'running'
      if (!isRunning) {
        const since = world.now()
        const counts = { listed: 0, known: 0, gone: 0, failed: 0, failures: [] }
        setMigration(transaction, bucket.id, { shadow: bucket.shadow.id, state: 'running', started: since, ...counts })
        await this.#ask(transaction, bucket, since)
      }
      return await readProgress(transaction, bucket.id, bucket.shadow.id)
    })
  }

  async #ask(to: Transaction, { name, id: bucketId, shadow }: Shadowed, since: number): Promise<void> {
    const work: ShadowWork = { kind: 'migrate', bucket: name, bucketId, shadow: shadow.id }
    // A task of before may still be there: of another shadow, or cancelled. It ends once it finds so, and is not this one.
    const id = taskId('migrate', bucketId, shadow.id, since)
    await addTask(to, { lane: laneOfShadow(bucketId), id, work, since })
  }

  async cancel(name: string, guard: BucketGuard): Promise<MigrationProgress> {
    const { store, world } = this.#foundation
    return await store.transact(async (transaction) => {
      const bucket = await this.#shadowed(transaction, name, guard)
      const standing = await readMigration(transaction, bucket.id)
      if (standing?.state === 'running') {
        setMigration(transaction, bucket.id, { ...standing, state: 'cancelled', ended: world.now() })
      }
      return await readProgress(transaction, bucket.id, bucket.shadow.id)
    })
  }

  async progress(name: string, guard: BucketGuard): Promise<MigrationProgress> {
    return await this.#foundation.store.snapshot(async (snapshot) => {
      const bucket = await this.#shadowed(snapshot, name, guard)
      return await readProgress(snapshot, bucket.id, bucket.shadow.id)
    })
  }

  async #shadowed(from: Snapshot, name: string, guard: BucketGuard): Promise<Shadowed> {
    const bucket = await this.#foundation.namespace.existingBucket(from, name)
    guard(bucket)
    if (bucket.shadow === undefined) {
      throw new Fault('NoSuchConfiguration', { message: 'The bucket has no shadow bucket.', BucketName: name })
    }
    return { ...bucket, shadow: bucket.shadow }
  }
}
