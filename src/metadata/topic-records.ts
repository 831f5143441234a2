import type { Subscription, Topic, TopicName } from '#src/model/topic.ts'
import type { Snapshot, Transaction } from '#src/store/store.ts'
import { TupleReader } from '#src/store/tuple.ts'
import {
  decodeMessageKey,
  decodeSubscription,
  decodeTopic,
  encodeMessageKey,
  encodeSubscription,
  encodeTopic,
  type StandingMessageKey,
} from './namespace-codec.ts'
import {
  type KeyRange,
  messageKeyKey,
  subscriptionKey,
  subscriptionsTo,
  subscriptionsUnder,
  topicKey,
  topicsOf,
} from './namespace-keys.ts'

/** Topics, their subscriptions, and what messages are signed with, in the transaction or snapshot given. */

type Place = Pick<TopicName, 'owner' | 'name'>

export async function readTopic(from: Snapshot, { owner, name }: Place): Promise<Topic | undefined> {
  const bytes = await from.get(topicKey(owner, name))
  return bytes === undefined ? undefined : decodeTopic(bytes)
}

export function setTopic(to: Transaction, topic: Topic): void {
  to.set(topicKey(topic.owner, topic.name), encodeTopic(topic))
}

/** With all that is subscribed to it. */
export function clearTopic(to: Transaction, { owner, name }: Place): void {
  to.clear(topicKey(owner, name))
  const all = subscriptionsTo(owner, name)
  to.clearRange(all.from, all.to)
}

/** All that an account has of them. */
export function clearTopicsOf(to: Transaction, owner: string): void {
  for (const { from, to: end } of [topicsOf(owner), subscriptionsUnder(owner)]) to.clearRange(from, end)
}

const afterName = ({ from, to }: KeyRange, after: Uint8Array | undefined): KeyRange =>
  after === undefined ? { from, to } : { from: Buffer.concat([after, Uint8Array.of(0)]), to }

/** By name; those after a name. */
export async function readTopics(
  from: Snapshot,
  owner: string,
  { after, limit }: { readonly after: string | undefined; readonly limit: number },
): Promise<readonly Topic[]> {
  const range = afterName(topicsOf(owner), after === undefined ? undefined : topicKey(owner, after))
  const entries = await from.range(range.from, range.to, { limit })
  return entries.map(({ value }) => decodeTopic(value))
}

export async function readSubscription(
  from: Snapshot,
  { owner, name }: Place,
  id: string,
): Promise<Subscription | undefined> {
  const bytes = await from.get(subscriptionKey(owner, name, id))
  return bytes === undefined ? undefined : decodeSubscription(bytes)
}

export function setSubscription(to: Transaction, { owner, name }: Place, subscription: Subscription): void {
  to.set(subscriptionKey(owner, name, subscription.id), encodeSubscription(subscription))
}

export function clearSubscription(to: Transaction, { owner, name }: Place, id: string): void {
  to.clear(subscriptionKey(owner, name, id))
}

/** All of one topic: there are at most a hundred. */
export async function readSubscriptions(
  from: Snapshot,
  { owner, name }: Place,
  limit: number,
): Promise<readonly Subscription[]> {
  const all = subscriptionsTo(owner, name)
  const entries = await from.range(all.from, all.to, { limit })
  return entries.map(({ value }) => decodeSubscription(value))
}

export interface PlacedSubscription {
  readonly topic: string
  readonly subscription: Subscription
}

/** To all topics of an account, by topic and id; those after one of them. */
export async function readAllSubscriptions(
  from: Snapshot,
  owner: string,
  { after, limit }: { readonly after: { topic: string; id: string } | undefined; readonly limit: number },
): Promise<readonly PlacedSubscription[]> {
  const past = after === undefined ? undefined : subscriptionKey(owner, after.topic, after.id)
  const range = afterName(subscriptionsUnder(owner), past)
  const entries = await from.range(range.from, range.to, { limit })
  return entries.map(({ key, value }) => {
    const reader = new TupleReader(key, 1)
    // The table and the owner come first.
    reader.element()
    reader.element()
    return { topic: reader.text(), subscription: decodeSubscription(value) }
  })
}

export async function readMessageKey(from: Snapshot): Promise<StandingMessageKey | undefined> {
  const bytes = await from.get(messageKeyKey)
  return bytes === undefined ? undefined : decodeMessageKey(bytes)
}

export function setMessageKey(to: Transaction, key: StandingMessageKey): void {
  to.set(messageKeyKey, encodeMessageKey(key))
}
