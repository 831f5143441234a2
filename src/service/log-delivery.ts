import {
  clearSealed,
  isSealed,
  type LogStream,
  readLines,
  readSealed,
  readStream,
  readStreams,
  type SealedLog,
} from '#src/metadata/log-records.ts'
import type { Grant } from '#src/model/access.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { EncryptionWish } from '#src/model/encryption.ts'
import { ignoresAcls } from '#src/model/ownership.ts'
import type { ObjectAttributes } from '#src/model/upload.ts'
import type { Foundation } from './foundation.ts'
import { discard, type Encrypting, type Ingested, ingest } from './ingest.ts'
import { seal } from './log-writing.ts'
import { makeContentKey } from './object-encryption.ts'
import { readTarget, writeIngested } from './object-writes.ts'
import type { Body } from './services.ts'

/** Lines in one read. */
const pageLines = 500
/** Logs or streams in one read. */
const pageLogs = 100
/** How soon a log that was closed by a record is delivered. */
const passMilliseconds = 1_000

/** Makes objects of logs that were closed. Several at once do no harm: one of them writes the object (H2). */
export class LogDelivery {
  readonly #foundation: Foundation

  constructor(foundation: Foundation) {
    this.#foundation = foundation
  }

  /** Until the signal; one process of a node is enough. */
  async run(signal: AbortSignal, failed: (error: unknown) => void): Promise<void> {
    const { world } = this.#foundation
    while (!signal.aborted) {
      try {
        await this.pass(failed)
      } catch (error) {
        failed(error)
      }
      await world.sleep(passMilliseconds, signal).catch(() => undefined)
    }
  }

  /** Closes what is overdue and delivers all that is closed; gives how many were delivered. */
  async pass(failed: (error: unknown) => void): Promise<number> {
    await this.#sealOverdue()
    const sealed = await this.#foundation.store.snapshot((snapshot) => readSealed(snapshot, pageLogs))
    let delivered = 0
    for (const log of sealed) {
      // One target's trouble is not the others'.
      delivered += await this.deliver(log).then(
        () => 1,
        (error: unknown) => {
          failed(error)
          return 0
        },
      )
    }
    return delivered
  }

  async #sealOverdue(): Promise<void> {
    const { store, world } = this.#foundation
    let after: Uint8Array | undefined
    for (;;) {
      const start = after
      const page = await store.snapshot((snapshot) => readStreams(snapshot, start, pageLogs))
      const now = world.now()
      for (const { stream, record } of page) {
        if (record.open !== undefined && record.open.overdue <= now) await this.#sealIfOverdue(stream)
      }
      after = page.at(-1)?.key
      if (page.length < pageLogs) return
    }
  }

  async #sealIfOverdue(stream: LogStream): Promise<void> {
    const { store, world } = this.#foundation
    await store.transact(async (transaction) => {
      const record = await readStream(transaction, stream)
      if (record.open !== undefined && record.open.overdue <= world.now()) {
        seal(this.#foundation, transaction, stream, record)
      }
    })
  }

  /** This log, and what of its stream was closed before it. */
  async deliverThrough(log: SealedLog): Promise<void> {
    const waiting = await this.#foundation.store.snapshot((snapshot) => readSealed(snapshot, pageLogs, log))
    for (const each of waiting) if (each.number <= log.number) await this.deliver(each)
  }

  async deliver(log: SealedLog): Promise<void> {
    const { store, namespace, inlineBytesMax } = this.#foundation
    const { target, isWaiting } = await store.snapshot(async (snapshot) => ({
      target: await namespace.bucket(snapshot, log.bucket),
      isWaiting: await isSealed(snapshot, log),
    }))
    if (!isWaiting) return
    if (target?.id !== log.target) {
      await store.transact(async (transaction) => clearSealed(transaction, log))
      return
    }
    const encrypting = await this.#encrypting(target)
    const ingested = await ingest(this.#foundation, this.#body(log), {}, inlineBytesMax, encrypting)
    const isWritten = await this.#commit(log, ingested).catch(async (error: unknown) => {
      await discard(this.#foundation, ingested)
      throw error
    })
    if (!isWritten) await discard(this.#foundation, ingested)
  }

  async #commit(log: SealedLog, ingested: Ingested): Promise<boolean> {
    const { store } = this.#foundation
    return await store.transact(async (transaction) => {
      if (!(await isSealed(transaction, log))) return false
      const target = await readTarget(this.#foundation, transaction, { bucket: log.bucket, key: log.key })
      if (target.bucket.id !== log.target) return false
      await writeIngested(this.#foundation, transaction, target, ingested, attributesOf(target.bucket, log.grants))
      clearSealed(transaction, log)
      return true
    })
  }

  async #encrypting(target: Bucket): Promise<Encrypting | undefined> {
    if (target.encryption === undefined) return undefined
    const { algorithm, keyId, hasBucketKey = false } = target.encryption
    const wish: EncryptionWish =
      algorithm === 'AES256'
        ? { kind: 'SSE-S3' }
        : { kind: 'SSE-KMS', hasBucketKey, ...(keyId !== undefined && { keyId }) }
    return { contentKey: await makeContentKey(this.#foundation, target.id, wish), part: 0 }
  }

  /** A sealed log does not change, so that its pages may be read one after another. */
  #body(log: SealedLog): Body {
    const { store } = this.#foundation
    async function* stream(): AsyncGenerator<Uint8Array> {
      let after: Uint8Array | undefined
      for (;;) {
        const start = after
        const rows = await store.snapshot((snapshot) => readLines(snapshot, log, start, pageLines))
        if (rows.length > 0) yield Buffer.concat(rows.map(({ value }) => value))
        after = rows.at(-1)?.key
        if (rows.length < pageLines) return
      }
    }
    return {
      length: undefined,
      stream,
      async pieces() {
        const all: Uint8Array[] = []
        for await (const piece of stream()) all.push(piece)
        return all
      },
    }
  }
}

/** Log objects are their bucket owner's. */
function attributesOf(target: Bucket, grants: readonly Grant[]): ObjectAttributes {
  const { owner } = target
  const known = target.acl.grants.find(({ grantee }) => grantee.kind === 'account' && grantee.id === owner)
  const grantee = known?.grantee ?? { kind: 'account', id: owner, displayName: '' }
  const own: Grant = { grantee, permission: 'FULL_CONTROL' }
  return {
    owner,
    headers: { contentType: 'text/plain' },
    metadata: new Map(),
    storageClass: 'STANDARD',
    acl: { owner, grants: ignoresAcls(target) ? [own] : [...grants, own] },
  }
}
