import type { Guard } from '#src/model/guard.ts'
import type { Caller } from '#src/model/identity.ts'
import type { NotificationRule } from '#src/model/notification.ts'
import type { ConditionValues } from '#src/model/policy-variables.ts'
import type { Subscription, Topic, TopicName } from '#src/model/topic.ts'
import type { Page } from './page.ts'

/** What the store can be asked of topics, and of what buckets tell them. */

export interface Subscribe {
  readonly topic: TopicName
  /** Of the subscription. */
  readonly owner: string
  readonly endpoint: string
  readonly isRaw: boolean
  /** Where the one who asks has reached this store. */
  readonly base: string
}

export interface ListedSubscription {
  /** Its topic's ARN. */
  readonly topic: string
  readonly subscription: Subscription
}

/** Throws NotFound, InvalidParameter, TopicLimitExceeded, SubscriptionLimitExceeded. Who may is asked by the gateway. */
export interface Topics {
  /** As ARNs of topics that are made here name it. */
  readonly region: string
  /** Gives its ARN; one that is there already is a success where its attributes are the same. */
  create(request: {
    readonly owner: string
    readonly name: string
    readonly attributes: Readonly<Record<string, string>>
    readonly base: string
  }): Promise<string>
  get(name: TopicName): Promise<Topic>
  setAttribute(name: TopicName, attribute: string, value: string): Promise<void>
  /** A missing one is no error. */
  delete(name: TopicName): Promise<void>
  list(owner: string, after: string | undefined, limit: number): Promise<Page<Topic>>
  /** To one topic; there are at most a hundred. */
  subscriptions(name: TopicName): Promise<readonly Subscription[]>
  /** To all topics of an account; `after`: the ARN of a subscription. */
  subscriptionsOf(owner: string, after: string | undefined, limit: number): Promise<Page<ListedSubscription>>
  /** Asks the endpoint to confirm, again if it has not yet. */
  subscribe(request: Subscribe): Promise<Subscription>
  confirm(name: TopicName, token: string): Promise<Subscription>
  subscription(name: TopicName, id: string): Promise<Subscription>
  setRaw(name: TopicName, id: string, isRaw: boolean): Promise<void>
  /** A missing one is no error. */
  unsubscribe(name: TopicName, id: string): Promise<void>
  /** Gives the message's id, once it is durable. */
  publish(request: { readonly topic: TopicName; readonly text: string; readonly subject?: string }): Promise<string>
  /** What signatures of messages are verified with, in PEM. */
  certificate(): Promise<string>
}

export interface PutNotifications {
  /** Of the bucket. */
  readonly name: string
  readonly rules: readonly NotificationRule[]
  readonly guard: Guard
  readonly caller: Caller
  readonly values: ConditionValues
  readonly requestId: string
  /** Topics that are not there are taken, and nothing is sent to any. */
  readonly isUnchecked: boolean
}

/** Throws NoSuchBucket, InvalidArgument, AccessDenied where the caller may not publish to a topic. */
export interface BucketNotifications {
  put(request: PutNotifications): Promise<void>
}
