import type { Stored, StoredByClass } from '#src/model/usage.ts'
import type { ObjectVersion, Version } from '#src/model/version.ts'
import type { Snapshot, Transaction } from '#src/store/store.ts'
import { TupleReader } from '#src/store/tuple.ts'
import { decodeJson, encodeJson } from './json-rows.ts'
import { keys, under } from './keyspace.ts'

/**
 * What buckets use.
 *
 * V10 what is stored is counted by the transaction that stores or removes it, in whichever way it came: so the counts are
 *     what counting every record would give, at every moment and after every crash.
 * V11 a batch of counts is added once, however often it is tried.
 */

/** One version in the place of another, or of none. What stays as it was is not written: an overwrite adds to one row at most. */
export function recountStored(
  to: Transaction,
  bucket: number,
  before: Version | undefined,
  after: Version | undefined,
): void {
  const [was, is] = [storedOf(before), storedOf(after)]
  if (was?.storageClass === is?.storageClass) {
    addStored(to, bucket, is?.storageClass, 0, (is?.size ?? 0) - (was?.size ?? 0))
    return
  }
  if (was !== undefined) addStored(to, bucket, was.storageClass, -1, -was.size)
  if (is !== undefined) addStored(to, bucket, is.storageClass, 1, is.size)
}

/** What many changes that one transaction makes are for the counts: added once, since each sum costs a read and a write. */
export class StoredSums {
  readonly #sums = new Map<number, Map<string, { objects: number; bytes: number }>>()

  /** One version in the place of another, or of none. */
  recount(bucket: number, before: Version | undefined, after: Version | undefined): void {
    this.#add(bucket, storedOf(before), -1)
    this.#add(bucket, storedOf(after), 1)
  }

  addTo(to: Transaction): void {
    for (const [bucket, classes] of this.#sums) {
      for (const [storageClass, { objects, bytes }] of classes) addStored(to, bucket, storageClass, objects, bytes)
    }
  }

  #add(bucket: number, version: ObjectVersion | undefined, sign: 1 | -1): void {
    if (version === undefined) return
    const classes = this.#sums.get(bucket) ?? new Map<string, { objects: number; bytes: number }>()
    const sum = classes.get(version.storageClass) ?? { objects: 0, bytes: 0 }
    sum.objects += sign
    sum.bytes += sign * version.size
    classes.set(version.storageClass, sum)
    this.#sums.set(bucket, classes)
  }
}

const storedOf = (version: Version | undefined): ObjectVersion | undefined =>
  version?.kind === 'object' ? version : undefined

function addStored(
  to: Transaction,
  bucket: number,
  storageClass: string | undefined,
  objects: number,
  bytes: number,
): void {
  if (storageClass === undefined) return
  if (objects !== 0) to.add(keys.stored(bucket, storageClass, 'objects'), BigInt(objects))
  if (bytes !== 0) to.add(keys.stored(bucket, storageClass, 'bytes'), BigInt(bytes))
}

const numberOf = (bytes: Uint8Array): bigint => Buffer.from(bytes).readBigInt64LE()

const counter = (value: bigint): Uint8Array => {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeBigInt64LE(value)
  return bytes
}

/** Storage classes of one bucket are few. */
const classesMost = 1_000

export async function readStored(from: Snapshot, bucket: number): Promise<StoredByClass> {
  const all = under('stored', [bucket])
  const found = new Map<string, { objects: bigint; bytes: bigint }>()
  for (const { key, value } of await from.range(all.from, all.to, { limit: classesMost })) {
    const reader = new TupleReader(key, 1)
    reader.integer()
    const storageClass = reader.text()
    const stored = found.get(storageClass) ?? { objects: 0n, bytes: 0n }
    stored[reader.text() === 'objects' ? 'objects' : 'bytes'] = numberOf(value)
    found.set(storageClass, stored)
  }
  for (const [name, { objects, bytes }] of found) if (objects === 0n && bytes === 0n) found.delete(name)
  return found
}

/** Adds what the counts are off by; changes meanwhile add to the same. */
export function mendStored(to: Transaction, bucket: number, storageClass: string, off: Stored): void {
  to.add(keys.stored(bucket, storageClass, 'objects'), off.objects)
  to.add(keys.stored(bucket, storageClass, 'bytes'), off.bytes)
}

export function addUsage(to: Transaction, bucket: number, day: number, metric: string, value: bigint): void {
  to.add(keys.usageDay(bucket, day, metric), value)
}

/** How it stands at the end of a day, as far as it has come. */
export function setUsage(to: Transaction, bucket: number, day: number, metric: string, value: bigint): void {
  to.set(keys.usageDay(bucket, day, metric), counter(value))
}

export interface UsageCount {
  readonly bucket: number
  /** A day or a month. */
  readonly period: number
  readonly metric: string
  readonly value: bigint
}

const countOf = ({ key, value }: { readonly key: Uint8Array; readonly value: Uint8Array }): UsageCount => {
  const reader = new TupleReader(key, 1)
  return { bucket: reader.number(), period: reader.number(), metric: reader.text(), value: numberOf(value) }
}

/** Of one bucket, from one period to another, both included. */
export async function readUsage(
  from: Snapshot,
  space: 'usageDay' | 'usageMonth',
  bucket: number,
  periods: { readonly from: number; readonly to: number },
  limit: number,
): Promise<readonly UsageCount[]> {
  const start = under(space, [bucket, periods.from]).from
  const end = under(space, [bucket, periods.to]).to
  return (await from.range(start, end, { limit })).map(countOf)
}

/** Moves a day's counts to its month: those that add up are added, of the others the later day counts. */
export function foldUsage(to: Transaction, counts: readonly UsageCount[], monthOf: (day: number) => number): void {
  for (const { bucket, period: day, metric, value } of counts) {
    const row = keys.usageMonth(bucket, monthOf(day), metric)
    if (/^(stored|objects) /.test(metric)) to.set(row, counter(value))
    else to.add(row, value)
    to.clear(keys.usageDay(bucket, day, metric))
  }
}

const format = 1

export interface UsageOwner {
  readonly name: string
  readonly account: string
}

export async function readOwner(from: Snapshot, bucket: number): Promise<UsageOwner | undefined> {
  const bytes = await from.get(keys.usageOwner(bucket))
  return bytes === undefined ? undefined : decodeJson<UsageOwner>(format, bytes)
}

/** Also of a bucket that is gone: what it used is told under its name. */
export async function setOwner(to: Transaction, bucket: number, owner: UsageOwner): Promise<void> {
  const before = await readOwner(to, bucket)
  if (before?.name === owner.name && before.account === owner.account) return
  to.set(keys.usageOwner(bucket), encodeJson(format, owner))
}

/** All buckets of which anything was counted, after one. */
export async function readOwners(
  from: Snapshot,
  after: number | undefined,
  limit: number,
): Promise<readonly (UsageOwner & { readonly bucket: number })[]> {
  const all = under('usageOwner', [])
  const start = after === undefined ? all.from : under('usageOwner', [after]).to
  return (await from.range(start, all.to, { limit })).map(({ key, value }) => ({
    bucket: new TupleReader(key, 1).number(),
    ...decodeJson<UsageOwner>(format, value),
  }))
}

interface Batch {
  readonly sequence: number
  /** Milliseconds since the epoch. */
  readonly at: number
}

/** Whether a batch of a process is a new one, which is then taken down as added (V11). */
export async function takeBatch(to: Transaction, process: string, sequence: number, at: number): Promise<boolean> {
  const bytes = await to.get(keys.usageBatch(process))
  const last = bytes === undefined ? 0 : decodeJson<Batch>(format, bytes).sequence
  if (last >= sequence) return false
  to.set(keys.usageBatch(process), encodeJson(format, { sequence, at } satisfies Batch))
  return true
}

/** Forgets processes that added nothing since a time. Nothing of theirs may still come. */
export async function forgetBatches(to: Transaction, before: number, limit: number): Promise<void> {
  const all = under('usageBatch', [])
  for (const { key, value } of await to.range(all.from, all.to, { limit })) {
    if (decodeJson<Batch>(format, value).at < before) to.clear(key)
  }
}

export async function readTick(from: Snapshot, bucket: number): Promise<number | undefined> {
  const bytes = await from.get(keys.usageTick(bucket))
  return bytes === undefined ? undefined : Number(numberOf(bytes))
}

export function setTick(to: Transaction, bucket: number, at: number): void {
  to.set(keys.usageTick(bucket), counter(BigInt(at)))
}

/** Buckets that have, or had, anything stored, after one. */
export async function nextStored(from: Snapshot, after: number | undefined): Promise<number | undefined> {
  const all = under('stored', [])
  const start = after === undefined ? all.from : under('stored', [after]).to
  const [entry] = await from.range(start, all.to, { limit: 1 })
  return entry === undefined ? undefined : new TupleReader(entry.key, 1).number()
}
