import { createHash } from 'node:crypto'
import type { CloudEndpoint } from '#src/cloud/endpoint.ts'
import { ContentCipher, sealedSize } from '#src/encryption/content-cipher.ts'
import { moveContent } from '#src/metadata/object-records.ts'
import { forgetRemote, type RemoteWork, takeName } from '#src/metadata/remote-records.ts'
import { changeTask, endTask, readTask, type Task } from '#src/metadata/task-records.ts'
import { dueAction, lifecycleOf, newerMost, dayMilliseconds as usualDay } from '#src/model/lifecycle.ts'
import { isLocked } from '#src/model/retention.ts'
import { formatStamp } from '#src/model/stamp.ts'
import { type RemoteCopy, type RemoteName, remoteNames, type Tier } from '#src/model/tier.ts'
import type { ObjectVersion } from '#src/model/version.ts'
import type { Transaction } from '#src/store/store.ts'
import { readContent } from './content.ts'
import type { Foundation } from './foundation.ts'
import { logDue } from './lifecycle-log.ts'
import { readStanding } from './lifecycle-scan.ts'
import { deleteWithin } from './object-deletes.ts'
import type { ContentKey } from './object-encryption.ts'
import { tell } from './object-events.ts'
import { readSource } from './object-reads.ts'
import { randomId } from './random-words.ts'
import { openTiered, readTiered, type TieredVersion, withoutBytes } from './tier-versions.ts'

export type MoveTask = Task<Extract<RemoteWork, { readonly kind: 'move' }>>

interface Begun {
  readonly to: RemoteName
  readonly sealedAs: string
}

/**
 * Takes versions to another endpoint, as rules of their buckets ask.
 *
 * U2  a version's bytes are given up here only in a transaction that found its rule still wants it, after all of them were read
 *     again from the endpoint and were what was sent (copy, verify, commit, only then let go).
 */
export class TierMoves {
  readonly #foundation: Foundation

  constructor(foundation: Foundation) {
    this.#foundation = foundation
  }

  async perform(task: MoveTask, tier: Tier, endpoint: CloudEndpoint, signal: AbortSignal): Promise<void> {
    const { store } = this.#foundation
    const begun = await store.transact((transaction) => this.#begin(transaction, task, tier))
    if (begun === undefined) return
    const found = await store.snapshot((snapshot) => readTiered(this.#foundation, snapshot, task.work.version))
    if (found === undefined || found.row.version.remote !== undefined) return await this.#giveUp(task, begun.to)
    const contentKey = await openTiered(this.#foundation, found)
    const remote = await this.#copy(found, contentKey, begun, endpoint, signal)
    await this.#commit(task, tier, remote, contentKey)
  }

  /** Takes a name at the endpoint, once; ends a task whose version needs none any more. */
  async #begin(to: Transaction, task: MoveTask, tier: Tier): Promise<Begun | undefined> {
    const found = await readTiered(this.#foundation, to, task.work.version)
    const kept = await readTask(to, task.lane, task.id)
    if (kept === undefined) return undefined
    const work = kept.work as MoveTask['work']
    if (work.to !== undefined) return { to: work.to, sealedAs: work.sealedAs ?? '' }
    if (found === undefined || !isMovable(found.row.version)) {
      await endTask(to, task)
      return undefined
    }
    const { stamp, isNull } = found.row.version
    const digest = createHash('sha256').update(found.key).digest('hex')
    const named = { bucket: found.bucket.name, key: found.key, versionId: formatStamp(stamp), isNull, digest }
    const name = await takeName(to, remoteNames(tier, named))
    const begun = { to: name, sealedAs: randomId(this.#foundation.world) }
    await changeTask(to, task, (now) => ({ ...now, work: { ...work, ...begun } }))
    return begun
  }

  /** There is nothing to be moved any more: what may have come to be there goes. */
  async #giveUp(task: MoveTask, name: RemoteName): Promise<void> {
    await this.#foundation.store.transact(async (transaction) => {
      if ((await readTask(transaction, task.lane, task.id)) === undefined) return
      await endTask(transaction, task)
      await forgetRemote(transaction, name)
    })
  }

  /** Sends all bytes, and reads them again: encrypted ones as others could not read them either. */
  async #copy(
    found: TieredVersion,
    contentKey: ContentKey | undefined,
    { to, sealedAs }: Begun,
    endpoint: CloudEndpoint,
    signal: AbortSignal,
  ): Promise<RemoteCopy> {
    const { version } = found.row
    const size = contentKey === undefined ? version.size : sealedSize(version.size)
    const sent = createHash('sha256')
    const plain = this.#read(found, contentKey)
    const bytes =
      contentKey === undefined ? plain : new ContentCipher(contentKey.plain, { id: sealedAs, part: 0 }).seal(plain)
    await endpoint.write(to, digested(bytes, sent), { size, ...described(version, contentKey !== undefined) }, signal)
    const sha256 = sent.digest('hex')
    const there = createHash('sha256')
    for await (const slice of await endpoint.read(to, signal)) there.update(slice)
    if (there.digest('hex') !== sha256) throw new Error('the endpoint does not give the bytes that it was sent')
    return { ...to, sha256, ...(contentKey !== undefined && { sealedAs }) }
  }

  async *#read(found: TieredVersion, contentKey: ContentKey | undefined): AsyncGenerator<Uint8Array> {
    const { bucket, key, row } = found
    const { version } = row
    const source = await this.#foundation.store.snapshot((snapshot) =>
      readSource(snapshot, { bucket, row, version, versionId: undefined }, key),
    )
    const opening = contentKey === undefined ? undefined : { dataKey: contentKey.plain, size: version.size }
    const bytes = await readContent(this.#foundation, source, { from: 0, to: version.size }, opening)
    if (bytes instanceof Uint8Array) yield bytes
    else yield* bytes
  }

  async #commit(task: MoveTask, tier: Tier, remote: RemoteCopy, contentKey: ContentKey | undefined): Promise<void> {
    const { store } = this.#foundation
    // A current version that is to leave nothing behind is hidden first, and goes as what it is then.
    for (let isOver = false; !isOver; ) {
      isOver = await store.transact((transaction) => this.#commitOnce(transaction, task, tier, remote, contentKey))
    }
  }

  async #commitOnce(
    to: Transaction,
    task: MoveTask,
    tier: Tier,
    remote: RemoteCopy,
    contentKey: ContentKey | undefined,
  ): Promise<boolean> {
    const kept = await readTask(to, task.lane, task.id)
    // Another one was faster: the copy is that one's, and what it says of it counts.
    if (kept === undefined) return true
    const found = await readTiered(this.#foundation, to, task.work.version)
    const isKnown = found?.row.version.encryption?.wrapped === contentKey?.wrapped.wrapped
    if (found === undefined || !isKnown || !(await this.#isWanted(to, found, tier, kept))) {
      await endTask(to, task)
      await forgetRemote(to, remote)
      return true
    }
    const { row } = found
    const { version } = row
    if (!tier.retainsHead && !isLocked(version, this.#foundation.world.now())) {
      return await this.#leave(to, task, tier, found)
    }
    const moved = withoutBytes(this.#foundation, to, found, contentKey)
    await moveContent(to, found.state, row, { ...moved, storageClass: tier.name, remote })
    await endTask(to, task)
    await this.#told(to, found, tier)
    return true
  }

  /** Whether the bucket's rules ask for just this now (Z5), or the version was hidden to go there. */
  async #isWanted(to: Transaction, found: TieredVersion, tier: Tier, kept: Task): Promise<boolean> {
    const { bucket, key, row } = found
    if (row.version.remote !== undefined) return false
    if ((kept.work as MoveTask['work']).isHidden === true) return true
    const lifecycle = lifecycleOf(bucket)
    if (lifecycle === undefined) return false
    const standing = await readStanding(to, bucket, { key, stamp: row.version.stamp }, newerMost(lifecycle))
    if (standing === undefined) return false
    const { world, dayMilliseconds = usualDay } = this.#foundation
    const time = { now: world.now(), day: dayMilliseconds }
    const due = dueAction(lifecycle, bucket, standing.candidate, time)
    return due?.kind === 'transition' && due.storageClass === tier.name
  }

  /** Nothing stays here: as an expiration would, but that the copy there is nobody's any more. */
  async #leave(to: Transaction, task: MoveTask, tier: Tier, found: TieredVersion): Promise<boolean> {
    const { bucket, key, state, row } = found
    const request = {
      name: { bucket: bucket.name, key },
      guard: () => {},
      conditions: {},
      bypassGovernance: false,
      caller: bucket.owner,
      isExpired: true,
    }
    const isCurrent = state.current?.version.stamp === row.version.stamp
    const { stamp, isNull } = row.version
    const versionId = isNull ? 'null' : formatStamp(stamp)
    await deleteWithin(this.#foundation, to, isCurrent ? request : { ...request, versionId })
    // A delete marker hides it, unless that took its place.
    if (isCurrent && (bucket.versioning === 'enabled' || (bucket.versioning === 'suspended' && !isNull))) {
      await changeTask(to, task, (now) => ({ ...now, work: { ...task.work, isHidden: true } }))
      return false
    }
    await endTask(to, task)
    await this.#told(to, found, tier)
    return true
  }

  async #told(to: Transaction, { bucket, key, row: { version } }: TieredVersion, tier: Tier): Promise<void> {
    const { stamp, isNull } = version
    const versionId = isNull ? undefined : formatStamp(stamp)
    const moved = { bucket, key, stamp, versionId, object: version, cause: undefined }
    tell(this.#foundation, to, { ...moved, event: 'LifecycleTransition' })
    await logDue(this.#foundation, to, bucket, { kind: 'transition', storageClass: tier.name }, { key, version })
  }
}

/** Bytes that a customer's key encrypts cannot be read here, and stay; what is still to be replicated is read here. */
export const isMovable = ({ remote, encryption, replication }: ObjectVersion): boolean =>
  remote === undefined && encryption?.kind !== 'SSE-C' && replication !== 'PENDING'

async function* digested(
  bytes: AsyncIterable<Uint8Array>,
  digest: ReturnType<typeof createHash>,
): AsyncGenerator<Uint8Array> {
  for await (const slice of bytes) {
    digest.update(slice)
    yield slice
  }
}

const isPlain = (text: string): boolean => /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(text)

/** So that the copy is of use by itself; of an encrypted object nothing is told. */
function described({ headers, metadata }: ObjectVersion, isEncrypted: boolean) {
  if (isEncrypted) return { metadata: new Map<string, string>() }
  const { contentType } = headers
  const plain = new Map([...metadata].filter(([, value]) => isPlain(value)))
  return { metadata: plain, ...(contentType !== undefined && isPlain(contentType) && { contentType }) }
}
