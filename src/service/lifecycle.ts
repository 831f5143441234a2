import { createHash } from 'node:crypto'
import { addJob } from '#src/metadata/jobs.ts'
import { under } from '#src/metadata/keyspace.ts'
import {
  forgetLifecycleProgress,
  type LifecycleProgress,
  readLifecycleProgress,
  setLifecycleProgress,
} from '#src/metadata/lifecycle-progress.ts'
import { rewriteVersion } from '#src/metadata/object-records.ts'
import { askForVersion } from '#src/metadata/remote-records.ts'
import { clearUpload, decodeUpload, readUpload, uploadOfRow } from '#src/metadata/upload-records.ts'
import type { Bucket } from '#src/model/bucket.ts'
import {
  abortOf,
  type Candidate,
  concernedPrefixes,
  concernsVersions,
  type Due,
  dueAction,
  isElsewhere,
  type Lifecycle,
  lifecycleOf,
  lifecycleText,
  newerMost,
} from '#src/model/lifecycle.ts'
import { pastPrefix } from '#src/model/listing.ts'
import { formatStamp } from '#src/model/stamp.ts'
import type { Upload } from '#src/model/upload.ts'
import type { ObjectVersion } from '#src/model/version.ts'
import type { Transaction } from '#src/store/store.ts'
import { afterKey } from '#src/store/tuple.ts'
import { takesWrites } from './bucket-places.ts'
import type { Foundation } from './foundation.ts'
import { logDue, logGivenUp } from './lifecycle-log.ts'
import { type From, KeyHistory, readStanding, readVersions, type Seen } from './lifecycle-scan.ts'
import { deleteWithin } from './object-deletes.ts'
import { tell } from './object-events.ts'
import { slotStamp } from './slot-stamps.ts'
import { isMovable } from './tier-moves.ts'

/** Records read in one snapshot. */
const pageRows = 250
/** Between pages: what clients ask for comes first. */
const pauseMilliseconds = 2
/** Versions or uploads that one transaction acts on: each may change some twenty rows. */
const actionsPerTransaction = 64
/** How often a round's position is kept: a restart repeats so much reading, and nothing else. */
const keepMilliseconds = 5_000
/** How often buckets are asked whether a day has begun, or their rules have changed; more often where days are short. */
const pollMillisecondsMax = 60_000
const forgottenPerPass = 10_000

/** What one round over a bucket did. */
export type LifecycleReport = { readonly bucket: string } & Readonly<Record<Done, number>>
type Done = Due['kind'] | 'abort'

export interface LifecycleOptions {
  /** How long a day is: 24 h, but for tests. */
  readonly dayMilliseconds: number
  readonly report: (report: LifecycleReport) => void
  readonly failed: (error: unknown) => void
}

/**
 * Carries out the rules of all buckets: once after each midnight UTC, and when rules change.
 *
 * Z5  the transaction that acts decides: it reads the rules, the version and its neighbours again, so an overwrite, a tag, a
 *     lock or another rule that came between counts.
 * Z6  a round that was interrupted goes on where it was; one that is run twice, or beside itself, ends in the same state.
 * Z7  what expires is deleted as a client's DELETE would, by the same functions.
 */
export class LifecycleWorker {
  readonly #foundation: Foundation
  readonly #options: LifecycleOptions

  constructor(foundation: Foundation, options: LifecycleOptions) {
    this.#foundation = foundation
    this.#options = options
  }

  /** Until the signal; one process of a node at a time is enough, several do no harm. */
  async run(signal: AbortSignal): Promise<void> {
    const { failed, dayMilliseconds } = this.#options
    const poll = Math.min(pollMillisecondsMax, dayMilliseconds / 20)
    while (!signal.aborted) {
      await this.pass(signal).catch(failed)
      await this.#foundation.world.sleep(poll, signal).catch(() => undefined)
    }
  }

  /** A round over each bucket that is due. */
  async pass(signal: AbortSignal): Promise<void> {
    const { store, namespace } = this.#foundation
    const buckets = await store.snapshot((snapshot) => namespace.buckets(snapshot))
    const ruled = buckets.filter((bucket) => lifecycleText(bucket) !== undefined)
    for (const bucket of ruled) {
      if (signal.aborted) return
      // One bucket's trouble is not the others'.
      await this.#visit(bucket, signal).catch(this.#options.failed)
    }
    const known = new Set(ruled.map(({ id }) => id))
    await store.transact((transaction) => forgetLifecycleProgress(transaction, (id) => known.has(id), forgottenPerPass))
  }

  async #visit(bucket: Bucket, signal: AbortSignal): Promise<void> {
    const { store, world } = this.#foundation
    const lifecycle = lifecycleOf(bucket)
    if (lifecycle === undefined) return
    const digest = createHash('sha256')
      .update(lifecycleText(bucket) ?? '')
      .digest('base64url')
    const before = await store.snapshot((snapshot) => readLifecycleProgress(snapshot, bucket.id))
    const isSame = before?.digest === digest
    if (isSame && before.next === undefined && this.#dayOf(before.began) === this.#dayOf(world.now())) return
    const isUnderWay = isSame && before.next !== undefined
    const round = new Round(this.#foundation, this.#options, bucket, lifecycle)
    await round.run(isUnderWay ? before : { began: world.now(), digest, next: '' }, signal)
  }

  #dayOf(time: number): number {
    return Math.floor(time / this.#options.dayMilliseconds)
  }
}

/** One walk over one bucket. */
class Round {
  readonly #foundation: Foundation
  readonly #options: LifecycleOptions
  readonly #bucket: Bucket
  readonly #lifecycle: Lifecycle
  readonly #done: Record<Done, number> = { expire: 0, remove: 0, transition: 0, abort: 0 }
  #kept: number

  constructor(foundation: Foundation, options: LifecycleOptions, bucket: Bucket, lifecycle: Lifecycle) {
    this.#foundation = foundation
    this.#options = options
    this.#bucket = bucket
    this.#lifecycle = lifecycle
    this.#kept = foundation.world.monotonic()
  }

  async run(progress: LifecycleProgress, signal: AbortSignal): Promise<void> {
    const enabled = this.#lifecycle.rules.filter((rule) => rule.isEnabled)
    await this.#keep(progress)
    if (enabled.some((rule) => rule.abortDays !== undefined)) await this.#abortUploads(signal)
    // Uploads are in one cell each; what is done to objects reaches the other cells, and would be done twice (C23).
    const isHome = this.#foundation.isHome?.(this.#bucket) ?? true
    for (const prefix of isHome ? concernedPrefixes(enabled.filter(concernsVersions)) : []) {
      await this.#walk(prefix, progress, signal)
    }
    if (signal.aborted) return
    await this.#keep({ ...progress, next: undefined })
    if (Object.values(this.#done).some((count) => count > 0)) {
      this.#options.report({ bucket: this.#bucket.name, ...this.#done })
    }
  }

  get #time() {
    return { now: this.#foundation.world.now(), day: this.#options.dayMilliseconds }
  }

  async #keep(progress: LifecycleProgress): Promise<void> {
    this.#kept = this.#foundation.world.monotonic()
    await this.#foundation.store.transact(async (transaction) =>
      setLifecycleProgress(transaction, this.#bucket.id, progress),
    )
  }

  async #walk(prefix: string, progress: LifecycleProgress, signal: AbortSignal): Promise<void> {
    const { store, world } = this.#foundation
    const past = pastPrefix(prefix)
    const resumed = progress.next ?? ''
    if (past !== undefined && Buffer.compare(past, Buffer.from(resumed)) <= 0) return
    const history = new KeyHistory()
    let from: From = { key: resumed }
    while (!signal.aborted) {
      const start = from
      const page: readonly Seen[] = await store.snapshot((snapshot) =>
        readVersions(snapshot, this.#bucket.id, prefix, start, pageRows),
      )
      const last = page.at(-1)
      const candidates = page.flatMap((seen) => history.offer(seen))
      if (page.length < pageRows || last === undefined) return await this.#act([...candidates, ...history.end()])
      await this.#act(candidates)
      if (world.monotonic() - this.#kept > keepMilliseconds) await this.#keep({ ...progress, next: last.key })
      from = { behind: last }
      await world.sleep(pauseMilliseconds, signal).catch(() => undefined)
    }
  }

  async #act(candidates: readonly Candidate[]): Promise<void> {
    const time = this.#time
    // The oldest of a key first: when a version goes, the one below would count its time anew.
    const due = candidates
      .filter((each) => dueAction(this.#lifecycle, this.#bucket, each, time) !== undefined)
      .toReversed()
    for (const batch of batchesOf(due)) {
      // One version's trouble is not the others'.
      if (!(await this.#changeAll(batch)) && batch.length > 1) for (const each of batch) await this.#changeAll([each])
    }
  }

  async #changeAll(batch: readonly Candidate[]): Promise<boolean> {
    return await this.#transact(async (transaction, bucket, lifecycle) => {
      const done: Done[] = []
      for (const candidate of batch) {
        const action = await this.#change(transaction, bucket, lifecycle, candidate)
        if (action !== undefined) done.push(action.kind)
      }
      return done
    })
  }

  /** Shows the bucket as it is now, if it still has rules (Z5), and counts what was done once it is committed. */
  async #transact(
    body: (transaction: Transaction, bucket: Bucket, lifecycle: Lifecycle) => Promise<readonly Done[]>,
  ): Promise<boolean> {
    const { store, namespace } = this.#foundation
    try {
      const done = await store.transact(async (transaction) => {
        const bucket = await namespace.bucket(transaction, this.#bucket.name)
        const lifecycle = bucket === undefined ? undefined : lifecycleOf(bucket)
        if (bucket?.id !== this.#bucket.id || !takesWrites(this.#foundation, bucket) || lifecycle === undefined)
          return []
        return await body(transaction, bucket, lifecycle)
      })
      for (const kind of done) this.#done[kind]++
      return true
    } catch (error) {
      // What lies behind must not wait for what is broken; the next round tries again.
      this.#options.failed(error)
      return false
    }
  }

  async #change(
    to: Transaction,
    bucket: Bucket,
    lifecycle: Lifecycle,
    { key, version: { stamp } }: Candidate,
  ): Promise<Due | undefined> {
    const standing = await readStanding(to, bucket, { key, stamp }, newerMost(lifecycle))
    if (standing === undefined) return undefined
    const { row, state } = standing
    const { version } = standing.candidate
    const due = dueAction(lifecycle, bucket, standing.candidate, this.#time)
    if (due?.kind === 'transition') {
      if (version.kind === 'marker') return undefined
      if (isElsewhere(due.storageClass)) return await this.#askForMove(to, bucket, key, version, due.storageClass)
      this.#foundation.space?.check()
      const moved = slotStamp(this.#foundation, version)
      rewriteVersion(to, state, { version, bytes: row.bytes }, { ...version, storageClass: due.storageClass, moved })
      const versionId = version.isNull ? undefined : formatStamp(stamp)
      const told = { bucket, key, stamp, versionId, object: version, cause: undefined }
      tell(this.#foundation, to, { ...told, event: 'LifecycleTransition' })
    } else if (due !== undefined) {
      await deleteWithin(this.#foundation, to, {
        name: { bucket: bucket.name, key },
        ...(due.kind === 'remove' && { versionId: version.isNull ? 'null' : formatStamp(stamp) }),
        guard: () => {},
        conditions: {},
        bypassGovernance: false,
        caller: bucket.owner,
        isExpired: true,
      })
    }
    if (due !== undefined) await logDue(this.#foundation, to, bucket, due, { key, version })
    return due
  }

  /** Takes longer than a transaction may: the tier's worker does it, and tells. */
  async #askForMove(
    to: Transaction,
    bucket: Bucket,
    key: string,
    version: ObjectVersion,
    tier: string,
  ): Promise<undefined> {
    if (this.#foundation.tiers?.has(tier) !== true || !isMovable(version)) return
    const { name, id } = bucket
    const moving = { bucket: name, bucketId: id, key, stamp: formatStamp(version.stamp) }
    await askForVersion(to, tier, 'move', moving, this.#foundation.world.now())
  }

  async #abortUploads(signal: AbortSignal): Promise<void> {
    const all = under('upload', [this.#bucket.id])
    let { from } = all
    while (!signal.aborted) {
      const start = from
      const page = await this.#foundation.store.snapshot((snapshot) =>
        snapshot.range(start, all.to, { limit: actionsPerTransaction }),
      )
      const uploads = page.map((row) => {
        const { key, id } = uploadOfRow(row.key)
        return decodeUpload(id, { bucket: this.#bucket.name, key }, row.value)
      })
      const due = uploads.filter((upload) => this.#isGivenUp(this.#lifecycle, upload))
      if (due.length > 0) {
        await this.#transact(async (transaction, bucket, lifecycle) => {
          const done: Done[] = []
          for (const { name, id } of due) {
            const upload = await readUpload(transaction, bucket.id, name, id)
            if (upload === undefined || !this.#isGivenUp(lifecycle, upload)) continue
            clearUpload(transaction, bucket.id, upload)
            addJob(transaction, { kind: 'parts', upload: id })
            await logGivenUp(this.#foundation, transaction, bucket, name.key)
            done.push('abort')
          }
          return done
        })
      }
      const last = page.at(-1)
      if (last === undefined) return
      from = afterKey(last.key)
    }
  }

  #isGivenUp(lifecycle: Lifecycle, { name, initiated }: Upload): boolean {
    const { now, day } = this.#time
    const abort = abortOf(lifecycle, { key: name.key, initiated }, day)
    return abort !== undefined && abort.at <= now
  }
}

/** At most one version of a key in each: a transaction does not see all that it wrote of a key. */
function batchesOf(candidates: readonly Candidate[]): readonly (readonly Candidate[])[] {
  const batches: Candidate[][] = []
  let batch: Candidate[] = []
  for (const candidate of candidates) {
    // Versions of one key follow each other.
    if (batch.length === 0 || batch.length === actionsPerTransaction || batch.at(-1)?.key === candidate.key) {
      batch = []
      batches.push(batch)
    }
    batch.push(candidate)
  }
  return batches
}
