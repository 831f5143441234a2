import { Fault } from '#src/errors.ts'
import {
  clearConfiguration,
  readConfiguration,
  readConfigurations,
  setConfiguration,
} from '#src/metadata/configuration-records.ts'
import type { Namespace } from '#src/metadata/namespace.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { type ConfigurationKind, configurationsMax } from '#src/model/configurations.ts'
import type { Guard } from '#src/model/guard.ts'
import type { Snapshot, Store } from '#src/store/store.ts'

/** Which configurations of which bucket; the guard is shown the bucket in the transaction that reads or changes them. */
export interface ConfigurationsOf {
  readonly bucket: string
  readonly kind: ConfigurationKind
  readonly guard: Guard
}

export interface ConfigurationOf extends ConfigurationsOf {
  readonly id: string
}

/** Throws NoSuchBucket, NoSuchConfiguration, TooManyConfigurations. Documents are given back as they were put. */
export interface BucketConfigurations {
  get(configuration: ConfigurationOf): Promise<string>
  put(configuration: ConfigurationOf & { readonly document: string }): Promise<void>
  delete(configuration: ConfigurationOf): Promise<void>
  /** At most `limit` + 1, in the order of their ids, behind `after`. */
  list(
    configurations: ConfigurationsOf & { readonly after?: string | undefined; readonly limit: number },
  ): Promise<readonly string[]>
}

/** What a bucket has many of: analytics, inventories, metrics, tierings. */
export class CellBucketConfigurations implements BucketConfigurations {
  readonly #store: Store
  readonly #namespace: Namespace

  constructor(parts: { readonly store: Store; readonly namespace: Namespace }) {
    this.#store = parts.store
    this.#namespace = parts.namespace
  }

  async #bucket(from: Snapshot, { bucket: name, guard }: ConfigurationsOf): Promise<Bucket> {
    const bucket = await this.#namespace.existingBucket(from, name)
    guard(undefined, bucket)
    return bucket
  }

  async get(asked: ConfigurationOf): Promise<string> {
    return await this.#store.snapshot(async (snapshot) => {
      const bucket = await this.#bucket(snapshot, asked)
      const found = await readConfiguration(snapshot, bucket.id, asked.kind, asked.id)
      if (found === undefined) throw absent(bucket)
      return found
    })
  }

  async put(put: ConfigurationOf & { readonly document: string }): Promise<void> {
    const { kind, id, document } = put
    await this.#store.transact(async (transaction) => {
      const bucket = await this.#bucket(transaction, put)
      const isNew = (await readConfiguration(transaction, bucket.id, kind, id)) === undefined
      const others = isNew ? await readConfigurations(transaction, bucket.id, kind, { limit: configurationsMax }) : []
      if (others.length >= configurationsMax) throw new Fault('TooManyConfigurations', { BucketName: bucket.name })
      setConfiguration(transaction, bucket.id, kind, id, document)
    })
  }

  async delete(gone: ConfigurationOf): Promise<void> {
    await this.#store.transact(async (transaction) => {
      const bucket = await this.#bucket(transaction, gone)
      const found = await readConfiguration(transaction, bucket.id, gone.kind, gone.id)
      if (found === undefined) throw absent(bucket)
      clearConfiguration(transaction, bucket.id, gone.kind, gone.id)
    })
  }

  async list(asked: Parameters<BucketConfigurations['list']>[0]): Promise<readonly string[]> {
    return await this.#store.snapshot(async (snapshot) => {
      const bucket = await this.#bucket(snapshot, asked)
      const { kind, after, limit } = asked
      return await readConfigurations(snapshot, bucket.id, kind, { after, limit: limit + 1 })
    })
  }
}

const absent = ({ name }: Bucket): Fault => new Fault('NoSuchConfiguration', { BucketName: name })
