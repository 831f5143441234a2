import type { TopicName } from '#src/model/topic.ts'
import type { Source } from '#src/model/topic-policy.ts'
import { type Entry, limits, type Snapshot, type Transaction } from '#src/store/store.ts'
import { TupleReader } from '#src/store/tuple.ts'
import { decodeJson, encodeJson } from './json-rows.ts'
import { keys, under } from './keyspace.ts'

/**
 * Messages on their way: published, then one delivery for each endpoint, then gone or a dead letter.
 *
 * H3  a message leaves one of these places only in the transaction that puts it into the next, that gives it up as its topic's
 *     owner asked, or that follows an answer of 2xx (C28).
 */
export interface Published {
  readonly topic: TopicName
  readonly message: Message
  /** Of what a bucket tells: whether the topic takes it is asked once more when it comes. */
  readonly source?: Source
}

export interface Message {
  readonly id: string
  readonly kind: 'Notification' | 'SubscriptionConfirmation'
  readonly subject?: string
  readonly text: string
  /** When it was published, in milliseconds since the epoch. */
  readonly time: number
  /** Of a confirmation. */
  readonly token?: string
}

/** Where a message goes: an endpoint of a topic, its own or a subscription's. */
export interface Target {
  readonly owner: string
  readonly topic: string
  /** Of a subscription; empty: the topic's own endpoint. */
  readonly subscription: string
}

export interface Delivery {
  readonly message: Message
  readonly region: string
  /** How often it was begun. */
  readonly attempts: number
  /** From when on it counts as late, in milliseconds since the epoch. */
  readonly since: number
}

/** A delivery that waits for its time. */
export interface PlacedDelivery {
  readonly target: Target
  readonly due: number
  readonly delivery: Delivery
}

export interface DeadLetter {
  /** Undefined: its topic was not there, or did not take it, so no endpoint was asked. */
  readonly target: Target | undefined
  readonly topic: TopicName
  readonly message: Message
  readonly source?: Source
  readonly attempts: number
  readonly reason: string
  /** When it was given up, in milliseconds since the epoch. */
  readonly time: number
}

const queue = 'publish'
const format = 1

const encode = (row: unknown): Uint8Array => encodeJson(format, row)
const decode = <Row>(bytes: Uint8Array): Row => decodeJson<Row>(format, bytes)

/** Room for what a dead letter says beside the message; and a message for a hundred endpoints fits into one transaction. */
const roomBytes = 10_000

/** Whether a message fits into one row wherever it comes to lie. */
export const fits = (published: Published): boolean => encode(published).length <= limits.valueBytes - roomBytes

export function publish(to: Transaction, published: Published): void {
  to.append(keys.job(queue), encode(published))
}

/** The oldest, with the rows that they are. */
export function readPublished(from: Snapshot, limit: number): Promise<readonly Entry[]> {
  const all = under('job', [queue])
  return from.range(all.from, all.to, { limit })
}

export const decodePublished = (value: Uint8Array): Published => decode<Published>(value)

const deliveryKey = ({ target, due, delivery }: PlacedDelivery): Uint8Array =>
  keys.delivery(target.owner, target.topic, target.subscription, due, delivery.message.id)

export function setDelivery(to: Transaction, placed: PlacedDelivery): void {
  to.set(deliveryKey(placed), encode(placed.delivery))
}

export const clearDelivery = (to: Transaction, placed: PlacedDelivery): void => to.clear(deliveryKey(placed))

/** Whether it still lies where it was read: another process may have taken it. */
export const isPlaced = async (from: Snapshot, placed: PlacedDelivery): Promise<boolean> =>
  (await from.get(deliveryKey(placed))) !== undefined

function placedOf({ key, value }: Entry): PlacedDelivery {
  const reader = new TupleReader(key, 1)
  const target = { owner: reader.text(), topic: reader.text(), subscription: reader.text() }
  return { target, due: Number(reader.integer()), delivery: decode<Delivery>(value) }
}

const rangeOf = ({ owner, topic, subscription }: Target) => under('delivery', [owner, topic, subscription])

/** The least target after one, or at all, that anything waits for. */
export async function nextTarget(from: Snapshot, after: Target | undefined): Promise<Target | undefined> {
  const all = under('delivery', [])
  const start = after === undefined ? all.from : rangeOf(after).to
  const [entry] = await from.range(start, all.to, { limit: 1 })
  return entry === undefined ? undefined : placedOf(entry).target
}

/** What is due for a target, what is due longest first. */
export async function readDue(
  from: Snapshot,
  target: Target,
  now: number,
  limit: number,
): Promise<readonly PlacedDelivery[]> {
  const all = rangeOf(target)
  const to = under('delivery', [target.owner, target.topic, target.subscription, now]).to
  const entries = await from.range(all.from, to, { limit })
  return entries.map(placedOf)
}

/** So many are forgotten for one that comes: where the limit was made smaller, the rest goes with those that follow. */
const forgottenAtOnce = 8

/**
 * Keeps a letter; gives how many were forgotten for it.
 *
 * H12 of one topic at most so many are kept, apart from letters of before they were counted; the oldest go first.
 */
export async function setDeadLetter(to: Transaction, letter: DeadLetter, most: number): Promise<number> {
  const { topic, time, message } = letter
  const counter = keys.deadLetters(topic.owner, topic.name)
  const bytes = await to.get(counter)
  const count = bytes === undefined ? 0 : Number(Buffer.from(bytes).readBigInt64LE())
  const limit = Math.min(count + 1 - most, forgottenAtOnce)
  const all = under('deadLetter', [topic.owner, topic.name])
  const oldest = limit > 0 ? await to.range(all.from, all.to, { limit }) : []
  for (const { key } of oldest) to.clear(key)
  to.add(counter, BigInt(1 - oldest.length))
  // The same message may be given up for several endpoints at once.
  const id = `${message.id}:${letter.target?.subscription ?? ''}`
  to.set(keys.deadLetter(topic.owner, topic.name, time, id), encode(letter))
  return oldest.length
}

/** One that was read, and is there still. */
export function clearDeadLetter(to: Transaction, { key, letter }: PlacedDeadLetter): void {
  to.clear(key)
  to.add(keys.deadLetters(letter.topic.owner, letter.topic.name), -1n)
}

export interface PlacedDeadLetter {
  readonly key: Uint8Array
  readonly letter: DeadLetter
}

/** By account, topic and time; of one account, or of one topic of it. */
export async function readDeadLetters(
  from: Snapshot,
  of: { readonly owner?: string; readonly topic?: string },
  { after, limit }: { readonly after: Uint8Array | undefined; readonly limit: number },
): Promise<readonly PlacedDeadLetter[]> {
  const { owner, topic } = of
  const elements = owner === undefined ? [] : topic === undefined ? [owner] : [owner, topic]
  const all = under('deadLetter', elements)
  const start = after === undefined ? all.from : Buffer.concat([after, Uint8Array.of(0)])
  const entries = await from.range(start, all.to, { limit })
  return entries.map(({ key, value }) => ({ key, letter: decode<DeadLetter>(value) }))
}
