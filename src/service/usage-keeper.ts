import type { Namespace } from '#src/metadata/namespace.ts'
import {
  addUsage,
  foldUsage,
  forgetBatches,
  mendStored,
  nextStored,
  readOwners,
  readStored,
  readTick,
  readUsage,
  setOwner,
  setTick,
  setUsage,
} from '#src/metadata/usage-records.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { dayOf, monthOf, type Stored, type StoredByClass, startOfDay } from '#src/model/usage.ts'
import type { Store, Transaction } from '#src/store/store.ts'
import type { World } from '#src/world.ts'
import { countRecords } from './usage-recount.ts'

const tickMilliseconds = 60_000
const lookMilliseconds = 5_000
const batchMilliseconds = 7 * 86_400_000
const ownersPerPage = 100
const countsPerFold = 1_000

export interface UsageKeeperParts {
  readonly store: Store
  readonly world: World
  readonly namespace: Namespace
  /** Days are told one by one for so long, and by months afterwards. */
  readonly days: number
  readonly failed: (error: unknown) => void
  /** Adds what processes left that are no more. */
  readonly recover: () => Promise<unknown>
}

/** What a recount of a bucket found. */
export interface Recount {
  readonly bucket: string
  readonly account: string
  readonly counted: StoredByClass
  /** By storage class, what the counts were off by; empty: they were right. */
  readonly off: ReadonlyMap<string, Stored>
  readonly isMended: boolean
}

/** Looks after what was counted: how much lies where for how long, days that become months, and whether it is all true. */
export class UsageKeeper {
  readonly #parts: UsageKeeperParts

  constructor(parts: UsageKeeperParts) {
    this.#parts = parts
  }

  /** Until the signal. One process of a node. */
  async run(signal: AbortSignal): Promise<void> {
    const { world, failed, recover } = this.#parts
    await this.#begin(signal).catch(failed)
    let ticked = Number.NEGATIVE_INFINITY
    let folded = -1
    while (!signal.aborted) {
      try {
        await recover()
        if (world.monotonic() - ticked >= tickMilliseconds) {
          ticked = world.monotonic()
          await this.tick(signal)
        }
        const today = dayOf(world.now())
        if (folded !== today) await this.fold()
        folded = today
      } catch (error) {
        failed(error)
      }
      await world.sleep(lookMilliseconds, signal).catch(() => undefined)
    }
  }

  /** A store that was there before its usage was counted is counted once. */
  async #begin(signal: AbortSignal): Promise<void> {
    const { store, namespace, world } = this.#parts
    for (const bucket of await store.snapshot((snapshot) => namespace.buckets(snapshot))) {
      if (signal.aborted) return
      if ((await store.snapshot((snapshot) => readTick(snapshot, bucket.id))) !== undefined) continue
      if ((await this.recount(bucket, true)) === undefined) continue
      await store.transact(async (transaction) => setTick(transaction, bucket.id, world.now()))
    }
  }

  /** Adds up how much lay in each bucket since the last time, and takes down how much does now. */
  async tick(signal: AbortSignal = new AbortController().signal): Promise<void> {
    const { store, namespace } = this.#parts
    const buckets = await store.snapshot((snapshot) => namespace.buckets(snapshot))
    const byId = new Map(buckets.map((bucket) => [bucket.id, bucket]))
    let after: number | undefined
    while (!signal.aborted) {
      const start = after
      after = await store.snapshot((snapshot) => nextStored(snapshot, start))
      if (after === undefined) return
      const id = after
      await store.transact((transaction) => this.#tickOne(transaction, id, byId.get(id)))
    }
  }

  async #tickOne(to: Transaction, id: number, bucket: Bucket | undefined): Promise<void> {
    const now = this.#parts.world.now()
    const since = await readTick(to, id)
    setTick(to, id, now)
    if (bucket !== undefined) await setOwner(to, id, { name: bucket.name, account: bucket.owner })
    const today = dayOf(now)
    for (const [storageClass, { objects, bytes }] of await readStored(to, id)) {
      setUsage(to, id, today, `stored ${storageClass}`, bytes)
      setUsage(to, id, today, `objects ${storageClass}`, objects)
      for (const [day, seconds] of since === undefined ? [] : split(since, now)) {
        addUsage(to, id, day, `byte-seconds ${storageClass}`, bytes * BigInt(seconds))
      }
    }
  }

  /** Days that are told one by one no more go to their months. */
  async fold(): Promise<void> {
    const { store, world, days } = this.#parts
    const periods = { from: 0, to: dayOf(world.now()) - days }
    let after: number | undefined
    for (;;) {
      const start = after
      const owners = await store.snapshot((snapshot) => readOwners(snapshot, start, ownersPerPage))
      for (const { bucket } of owners) {
        for (let isMore = true; isMore; ) {
          isMore = await store.transact(async (transaction) => {
            const counts = await readUsage(transaction, 'usageDay', bucket, periods, countsPerFold)
            foldUsage(transaction, counts, monthOf)
            return counts.length === countsPerFold
          })
        }
      }
      after = owners.at(-1)?.bucket
      if (after === undefined) break
    }
    await store.transact((transaction) => forgetBatches(transaction, world.now() - batchMilliseconds, countsPerFold))
  }

  /** Counts every version of a bucket, and compares. Undefined: it changed too much meanwhile for its size. */
  async recount(bucket: Bucket, mends: boolean): Promise<Recount | undefined> {
    const { store } = this.#parts
    const found = await countRecords(store, bucket.id)
    if (found === undefined) return undefined
    const off = difference(found.counted, found.kept)
    if (mends) {
      await store.transact(async (transaction) => {
        await setOwner(transaction, bucket.id, { name: bucket.name, account: bucket.owner })
        for (const [storageClass, each] of off) mendStored(transaction, bucket.id, storageClass, each)
      })
    }
    return {
      bucket: bucket.name,
      account: bucket.owner,
      counted: found.counted,
      off,
      isMended: mends && off.size > 0,
    }
  }
}

const nothing: Stored = { objects: 0n, bytes: 0n }

function difference(one: StoredByClass, other: StoredByClass): ReadonlyMap<string, Stored> {
  const off = new Map<string, Stored>()
  for (const name of new Set([...one.keys(), ...other.keys()])) {
    const [is, was] = [one.get(name) ?? nothing, other.get(name) ?? nothing]
    const each = { objects: is.objects - was.objects, bytes: is.bytes - was.bytes }
    if (each.objects !== 0n || each.bytes !== 0n) off.set(name, each)
  }
  return off
}

/** Whole seconds of each day between two times. */
function split(from: number, to: number): readonly (readonly [day: number, seconds: number])[] {
  const found: (readonly [number, number])[] = []
  for (let at = from; at < to; ) {
    const day = dayOf(at)
    const end = Math.min(to, startOfDay(day + 1))
    found.push([day, Math.floor(end / 1000) - Math.floor(at / 1000)])
    at = end
  }
  return found
}
