import { isIP } from 'node:net'
import { Fault } from '#src/errors.ts'
import { fits, publish, setDelivery } from '#src/metadata/notification-records.ts'
import {
  clearSubscription,
  clearTopic,
  readAllSubscriptions,
  readSubscription,
  readSubscriptions,
  readTopic,
  readTopics,
  setSubscription,
  setTopic,
} from '#src/metadata/topic-records.ts'
import {
  checkEndpoint,
  checkTopicAttribute,
  checkTopicName,
  hasAttributes,
  parseSubscriptionArn,
  type Subscription,
  type Topic,
  type TopicName,
  topicArn,
  withAttributes,
} from '#src/model/topic.ts'
import type { Store, Transaction } from '#src/store/store.ts'
import { isReachable, type Reach } from '#src/webhook/addresses.ts'
import type { World } from '#src/world.ts'
import { messageId } from './message-ids.ts'
import type { MessageKeys } from './message-keys.ts'
import type { ListedSubscription, Subscribe, Topics } from './notification-services.ts'
import type { Page } from './page.ts'

/** Of one account, and of one topic. */
const topicsMax = 1_000
export const subscriptionsMax = 100
/** How long an endpoint may take to confirm, as in AWS. */
const confirmationMilliseconds = 3 * 24 * 3600 * 1000

const noTopic = (): Fault => new Fault('NotFound', { message: 'Topic does not exist' })
const noSubscription = (): Fault => new Fault('NotFound', { message: 'Subscription does not exist' })

export interface TopicsParts {
  readonly store: Store
  readonly world: World
  readonly region: string
  readonly keys: MessageKeys
  readonly reach: Reach
  /** Where messages say that this store is; absent: where each topic's maker reached it. */
  readonly publicUrl: string | undefined
}

/**
 * Topics and who listens to them.
 *
 * H6  nothing but its confirmation is sent to an endpoint before somebody there has said yes by the token that only it was sent.
 */
export class CellTopics implements Topics {
  readonly #parts: TopicsParts

  constructor(parts: TopicsParts) {
    this.#parts = parts
  }

  get region(): string {
    return this.#parts.region
  }

  async create(request: Parameters<Topics['create']>[0]): Promise<string> {
    const { owner, name, attributes } = request
    checkTopicName(name)
    const { region, world, store, publicUrl } = this.#parts
    const place = { region, owner, name }
    this.#check(place, attributes)
    // What its first message will be signed with: making it takes a while.
    await this.#parts.keys.current()
    await store.transact(async (transaction) => {
      const standing = await readTopic(transaction, { owner, name })
      if (standing !== undefined) {
        if (hasAttributes(standing, attributes)) return
        const message = 'Invalid parameter: Attributes Reason: Topic already exists with different attributes'
        throw new Fault('InvalidParameter', { message })
      }
      const others = await readTopics(transaction.relaxed, owner, { after: undefined, limit: topicsMax })
      if (others.length >= topicsMax) throw new Fault('TopicLimitExceeded')
      const base = publicUrl ?? request.base
      const topic: Topic = { name, owner, region, created: world.now(), base, attributes: {} }
      setTopic(transaction, withAttributes(topic, attributes))
    })
    return topicArn(place)
  }

  #check(topic: TopicName, attributes: Readonly<Record<string, string>>): void {
    for (const [name, value] of Object.entries(attributes)) {
      checkTopicAttribute(topic, name, value)
      if (name === 'push-endpoint' && value !== '') this.#checkReach(checkEndpoint(value))
    }
  }

  /** Told at once where it is plain to see; of names, what they lead to is seen when a message leaves. */
  #checkReach({ hostname }: URL): void {
    const host = hostname.replace(/^\[|\]$/g, '')
    const isPlain = isIP(host) !== 0 || host === 'localhost' || host.endsWith('.localhost')
    const address = isIP(host) === 0 ? '127.0.0.1' : host
    if (!isPlain || isReachable(address, this.#parts.reach)) return
    throw new Fault('InvalidParameter', {
      message: `Invalid parameter: Endpoint Reason: notifications may not be sent to ${host} (--notification-endpoints)`,
    })
  }

  async get(name: TopicName): Promise<Topic> {
    return await this.#parts.store.snapshot((snapshot) => this.#existing(snapshot, name))
  }

  async #existing(from: Parameters<typeof readTopic>[0], name: TopicName): Promise<Topic> {
    const topic = await readTopic(from, name)
    if (topic === undefined || topic.region !== name.region) throw noTopic()
    return topic
  }

  async setAttribute(name: TopicName, attribute: string, value: string): Promise<void> {
    this.#check(name, { [attribute]: value })
    await this.#parts.store.transact(async (transaction) => {
      const topic = await this.#existing(transaction, name)
      setTopic(transaction, withAttributes(topic, { [attribute]: value }))
    })
  }

  async delete(name: TopicName): Promise<void> {
    await this.#parts.store.transact(async (transaction) => {
      const topic = await readTopic(transaction, name)
      if (topic?.region === name.region) clearTopic(transaction, name)
    })
  }

  async list(owner: string, after: string | undefined, limit: number): Promise<Page<Topic>> {
    const { store } = this.#parts
    const found = await store.snapshot((snapshot) => readTopics(snapshot, owner, { after, limit: limit + 1 }))
    const items = found.slice(0, limit)
    const last = items.at(-1)
    return found.length > limit && last !== undefined ? { items, next: last.name } : { items }
  }

  async subscriptions(name: TopicName): Promise<readonly Subscription[]> {
    return await this.#parts.store.snapshot(async (snapshot) => {
      await this.#existing(snapshot, name)
      return await readSubscriptions(snapshot, name, subscriptionsMax)
    })
  }

  async subscriptionsOf(owner: string, after: string | undefined, limit: number): Promise<Page<ListedSubscription>> {
    const { store, region } = this.#parts
    const from = after === undefined ? undefined : parseSubscriptionArn(after)
    const past = from === undefined ? undefined : { topic: from.topic.name, id: from.id }
    const found = await store.snapshot((snapshot) =>
      readAllSubscriptions(snapshot, owner, { after: past, limit: limit + 1 }),
    )
    const items = found
      .slice(0, limit)
      .map(({ topic, subscription }) => ({ topic: topicArn({ region, owner, name: topic }), subscription }))
    const last = items.at(-1)
    if (found.length <= limit || last === undefined) return { items }
    return { items, next: `${last.topic}:${last.subscription.id}` }
  }

  async subscribe({ topic: name, owner, endpoint, isRaw, base }: Subscribe): Promise<Subscription> {
    this.#checkReach(checkEndpoint(endpoint))
    const { store, world, publicUrl } = this.#parts
    await this.#parts.keys.current()
    const fresh: Subscription = {
      id: messageId(world),
      owner,
      endpoint,
      base: publicUrl ?? base,
      isRaw,
      pending: { token: Buffer.from(world.randomBytes(32)).toString('hex'), since: world.now() },
    }
    return await store.transact(async (transaction) => {
      await this.#existing(transaction, name)
      const standing = await this.#forgetLate(transaction, name)
      const same = standing.find((each) => each.endpoint === endpoint)
      if (same !== undefined && same.isRaw !== isRaw) {
        const message = 'Invalid parameter: Attributes Reason: Subscription already exists with different attributes'
        throw new Fault('InvalidParameter', { message })
      }
      if (same === undefined && standing.length >= subscriptionsMax) throw new Fault('SubscriptionLimitExceeded')
      const subscription = same ?? fresh
      if (same === undefined) setSubscription(transaction, name, subscription)
      this.#askToConfirm(transaction, name, subscription)
      return subscription
    })
  }

  /** Those that nobody has confirmed in time make room. */
  async #forgetLate(to: Transaction, name: TopicName): Promise<readonly Subscription[]> {
    const all = await readSubscriptions(to, name, subscriptionsMax)
    for (const each of all) if (this.#isLate(each)) clearSubscription(to, name, each.id)
    return all.filter((each) => !this.#isLate(each))
  }

  #isLate({ pending }: Subscription): boolean {
    return pending !== undefined && this.#parts.world.now() - pending.since > confirmationMilliseconds
  }

  #askToConfirm(to: Transaction, { owner, name, region }: TopicName, { id, pending }: Subscription): void {
    if (pending === undefined) return
    const { world } = this.#parts
    const arn = topicArn({ owner, name, region })
    const text = `You have chosen to subscribe to the topic ${arn}.\nTo confirm the subscription, visit the SubscribeURL included in this message.`
    const time = world.now()
    const message = {
      id: messageId(world),
      kind: 'SubscriptionConfirmation',
      text,
      time,
      token: pending.token,
    } as const
    const target = { owner, topic: name, subscription: id }
    setDelivery(to, { target, due: time, delivery: { message, region, attempts: 0, since: time } })
  }

  async confirm(name: TopicName, token: string): Promise<Subscription> {
    return await this.#parts.store.transact(async (transaction) => {
      await this.#existing(transaction, name)
      const all = await readSubscriptions(transaction, name, subscriptionsMax)
      const found = all.find(({ pending }) => pending?.token === token)
      if (found === undefined || this.#isLate(found)) {
        throw new Fault('InvalidParameter', { message: 'Invalid parameter: Token' })
      }
      const { pending: _, ...confirmed } = found
      setSubscription(transaction, name, confirmed)
      return confirmed
    })
  }

  async subscription(name: TopicName, id: string): Promise<Subscription> {
    const found = await this.#parts.store.snapshot((snapshot) => readSubscription(snapshot, name, id))
    if (found === undefined) throw noSubscription()
    return found
  }

  async setRaw(name: TopicName, id: string, isRaw: boolean): Promise<void> {
    await this.#parts.store.transact(async (transaction) => {
      const found = await readSubscription(transaction, name, id)
      if (found === undefined) throw noSubscription()
      setSubscription(transaction, name, { ...found, isRaw })
    })
  }

  async unsubscribe(name: TopicName, id: string): Promise<void> {
    await this.#parts.store.transact(async (transaction) => clearSubscription(transaction, name, id))
  }

  async publish({ topic, text, subject }: Parameters<Topics['publish']>[0]): Promise<string> {
    const { store, world } = this.#parts
    const id = messageId(world)
    const message = {
      id,
      kind: 'Notification',
      text,
      time: world.now(),
      ...(subject !== undefined && { subject }),
    } as const
    if (!fits({ topic, message }))
      throw new Fault('InvalidParameter', { message: 'Invalid parameter: Message too long' })
    await store.transact(async (transaction) => {
      await this.#existing(transaction, topic)
      publish(transaction, { topic, message })
    })
    return id
  }

  async certificate(): Promise<string> {
    return (await this.#parts.keys.current()).certificate
  }
}
