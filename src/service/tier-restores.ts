import { createHash } from 'node:crypto'
import type { CloudEndpoint } from '#src/cloud/endpoint.ts'
import { ContentCipher } from '#src/encryption/content-cipher.ts'
import { addJob } from '#src/metadata/jobs.ts'
import { moveContent } from '#src/metadata/object-records.ts'
import {
  clearRestored,
  forgetRemote,
  type RemoteWork,
  type RestoredRow,
  readOver,
  setRestored,
} from '#src/metadata/remote-records.ts'
import { changeTask, endTask, readTask, type Task } from '#src/metadata/task-records.ts'
import { endOfDays, dayMilliseconds as usualDay } from '#src/model/lifecycle.ts'
import type { EventName } from '#src/model/notification.ts'
import { formatStamp } from '#src/model/stamp.ts'
import type { RemoteCopy } from '#src/model/tier.ts'
import { type ObjectVersion, restrictionOf } from '#src/model/version.ts'
import type { Snapshot, Transaction } from '#src/store/store.ts'
import { placeContent, setInline, throwAway, type WrittenContent, writeContent } from './content-placing.ts'
import type { Foundation } from './foundation.ts'
import { discard } from './ingest.ts'
import type { ContentKey } from './object-encryption.ts'
import { tell } from './object-events.ts'
import { randomId } from './random-words.ts'
import { openTiered, readTiered, type TieredVersion, withContent, withoutBytes } from './tier-versions.ts'

export type RestoreTask = Task<Extract<RemoteWork, { readonly kind: 'restore' }>>

const rowsPerPass = 100

/**
 * Brings bytes back from other endpoints, and lets them go again.
 *
 * U3  what is restored is what was moved: it is taken only if all of it has the digest that it was sent with.
 * U4  a copy that was restored for some days is not read after they are over, and is given up soon after; the one at the
 *     endpoint stays until the version goes, or was restored for good.
 */
export class TierRestores {
  readonly #foundation: Foundation

  constructor(foundation: Foundation) {
    this.#foundation = foundation
  }

  async perform(task: RestoreTask, endpoint: CloudEndpoint, signal: AbortSignal): Promise<void> {
    const { store } = this.#foundation
    const staging = await store.transact((transaction) => this.#begin(transaction, task))
    if (staging === undefined) return
    const found = await store.snapshot((snapshot) => readTiered(this.#foundation, snapshot, task.work.version))
    const remote = found?.row.version.remote
    if (found === undefined || remote === undefined || found.row.version.restore?.kind !== 'ongoing') {
      return await store.transact((transaction) => this.#end(transaction, task, staging))
    }
    const contentKey = await openTiered(this.#foundation, found)
    const fetched = await this.#fetch(task, found, remote, contentKey, { staging, endpoint, signal })
    try {
      await store.transact((transaction) => this.#commit(transaction, task, { remote, contentKey, fetched, staging }))
    } catch (error) {
      if (fetched.kind === 'whole') await discard(this.#foundation, fetched.ingested)
      throw error
    }
  }

  /** A place of its own for the parts of each try; what an earlier one left is freed. */
  async #begin(to: Transaction, task: RestoreTask): Promise<string | undefined> {
    const kept = await readTask(to, task.lane, task.id)
    if (kept === undefined) return undefined
    const before = (kept.work as RestoreTask['work']).staging
    if (before !== undefined) addJob(to, { kind: 'parts', upload: before })
    const staging = `restore${randomId(this.#foundation.world)}`
    await changeTask(to, task, (now) => ({ ...now, work: { ...task.work, staging } }))
    return staging
  }

  async #end(to: Transaction, task: RestoreTask, staging: string): Promise<void> {
    addJob(to, { kind: 'parts', upload: staging })
    await endTask(to, task)
  }

  async #fetch(
    task: RestoreTask,
    found: TieredVersion,
    remote: RemoteCopy,
    contentKey: ContentKey | undefined,
    from: { readonly staging: string; readonly endpoint: CloudEndpoint; readonly signal: AbortSignal },
  ): Promise<WrittenContent> {
    const { version } = found.row
    const digest = createHash('sha256')
    const sent = checked(await from.endpoint.read(remote, from.signal), digest, remote.sha256)
    const span = { size: version.size, from: 0, to: version.size }
    const plain =
      contentKey === undefined
        ? sent
        : new ContentCipher(contentKey.plain, { id: remote.sealedAs ?? '', part: 0 }).open(span, () => sent)
    const restriction = restrictionOf(found.bucket.id, version)
    const wanted = { size: version.size, parts: found.parts, contentKey, staging: from.staging, restriction }
    return await writeContent(this.#foundation, plain, wanted, (to) => this.#isMine(to, task, from.staging))
  }

  async #isMine(from: Snapshot, { lane, id }: RestoreTask, staging: string): Promise<boolean> {
    const kept = await readTask(from, lane, id)
    return (kept?.work as RestoreTask['work'] | undefined)?.staging === staging
  }

  async #commit(
    to: Transaction,
    task: RestoreTask,
    {
      remote,
      contentKey,
      fetched,
      staging,
    }: {
      readonly remote: RemoteCopy
      readonly contentKey: ContentKey | undefined
      readonly fetched: WrittenContent
      readonly staging: string
    },
  ): Promise<void> {
    // Another one may have taken over, and freed what this one fetched of parts.
    const isMine = await this.#isMine(to, task, staging)
    const found = isMine ? await readTiered(this.#foundation, to, task.work.version) : undefined
    const version = found?.row.version
    const { restore } = version ?? {}
    const isWanted = version?.content.kind === 'remote' && version.remote?.key === remote.key
    if (found === undefined || version === undefined || !isWanted || restore?.kind !== 'ongoing') {
      throwAway(to, fetched)
      return isMine ? await this.#end(to, task, staging) : undefined
    }
    const { content, parts } = await placeContent(this.#foundation, to, fetched)
    const here = withContent(version, content, found.key, contentKey, parts)
    const restored = restoredVersion(here, restore.days, this.#foundation)
    await moveContent(to, found.state, found.row, restored)
    setInline(to, found.state, restored, fetched)
    await keepUntil(to, found, restored)
    await endTask(to, task)
    this.#told(to, found, 'ObjectRestore:Completed')
  }

  #told(to: Transaction, { bucket, key, row: { version } }: TieredVersion, event: EventName): void {
    const { stamp, isNull } = version
    const versionId = isNull ? undefined : formatStamp(stamp)
    tell(this.#foundation, to, { event, bucket, key, stamp, versionId, object: version, cause: undefined })
  }

  /** Lets go of copies whose time is over; gives how many. */
  async expire(): Promise<number> {
    const { store, world } = this.#foundation
    const over = await store.snapshot((snapshot) => readOver(snapshot, world.now(), rowsPerPass))
    for (const row of over) await this.#expireOne(row)
    return over.length
  }

  async #expireOne(over: RestoredRow): Promise<void> {
    const { store, world } = this.#foundation
    const name = { ...over, stamp: formatStamp(over.stamp) }
    const before = await store.snapshot((snapshot) => readTiered(this.#foundation, snapshot, name))
    const contentKey = before === undefined ? undefined : await openTiered(this.#foundation, before)
    await store.transact(async (transaction) => {
      clearRestored(transaction, over)
      const found = await readTiered(this.#foundation, transaction, name)
      const restore = found?.row.version.restore
      if (found === undefined || restore?.kind !== 'done' || restore.until > world.now()) return
      await this.#letGo(transaction, found, contentKey)
    })
  }

  async #letGo(to: Transaction, found: TieredVersion, contentKey: ContentKey | undefined): Promise<void> {
    const { restore: _, ...gone } = withoutBytes(this.#foundation, to, found, contentKey)
    await moveContent(to, found.state, found.row, gone)
    this.#told(to, found, 'ObjectRestore:Delete')
  }
}

/** For so many days, or for good: then it is an object like others, and the copy elsewhere is nobody's. */
export function restoredVersion(
  version: ObjectVersion,
  days: number | undefined,
  { world, dayMilliseconds = usualDay }: Foundation,
): ObjectVersion {
  if (days !== undefined) {
    return { ...version, restore: { kind: 'done', until: endOfDays(world.now(), days, dayMilliseconds) } }
  }
  const { restore: _restore, remote: _remote, ...rest } = version
  return { ...rest, storageClass: 'STANDARD' }
}

/** Keeps what tells of a version's time with it: `before` as it was, `after` as it is now. */
export async function keepUntil(
  to: Transaction,
  { bucket, key, row: { version: before } }: Pick<TieredVersion, 'bucket' | 'key' | 'row'>,
  after: ObjectVersion,
): Promise<void> {
  const named = { bucketId: bucket.id, key, stamp: after.stamp, bucket: bucket.name }
  if (before.restore?.kind === 'done') clearRestored(to, { ...named, until: before.restore.until })
  if (after.restore?.kind === 'done') setRestored(to, { ...named, until: after.restore.until })
  if (after.remote === undefined && before.remote !== undefined) await forgetRemote(to, before.remote)
}

/** Throws, where they end, at bytes of another digest (U3). */
async function* checked(
  bytes: AsyncIterable<Uint8Array>,
  digest: ReturnType<typeof createHash>,
  expected: string,
): AsyncGenerator<Uint8Array> {
  for await (const slice of bytes) {
    digest.update(slice)
    yield slice
  }
  if (digest.digest('hex') !== expected) throw new Error('the endpoint does not give the bytes that it was sent')
}
