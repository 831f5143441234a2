import { Fault } from '#src/errors.ts'
import type { Namespace } from '#src/metadata/namespace.ts'
import { publish } from '#src/metadata/notification-records.ts'
import { readTopic } from '#src/metadata/topic-records.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { testMessage } from '#src/model/event-message.ts'
import type { Caller } from '#src/model/identity.ts'
import { checkNotificationRules, withNotifications } from '#src/model/notification.ts'
import { parseTopicArn, type Topic, topicArn } from '#src/model/topic.ts'
import { type Publisher, policyOf, sourceOf, takesFrom } from '#src/model/topic-policy.ts'
import type { Store, Transaction } from '#src/store/store.ts'
import type { World } from '#src/world.ts'
import { isAdministrator, type QueryAccess, requesterOf, topicRealm } from './access.ts'
import { messageId } from './message-ids.ts'
import type { BucketNotifications, PutNotifications } from './notification-services.ts'

const subject = 'Amazon S3 Notification'

export interface BucketNotificationsParts {
  readonly store: Store
  readonly world: World
  readonly namespace: Namespace
  readonly access: QueryAccess
}

/** Puts what a bucket tells of, once it is sure that its topics are there and take it. */
export class CellBucketNotifications implements BucketNotifications {
  readonly #parts: BucketNotificationsParts

  constructor(parts: BucketNotificationsParts) {
    this.#parts = parts
  }

  async put(request: PutNotifications): Promise<void> {
    const { name, rules, guard, isUnchecked } = request
    checkNotificationRules(rules)
    await this.#parts.store.transact(async (transaction) => {
      const bucket = await this.#parts.namespace.existingBucket(transaction, name)
      guard(undefined, bucket)
      const topics = new Map<string, Topic>()
      for (const { topic: arn } of rules) {
        const topic = await this.#destination(transaction, arn, bucket, request)
        if (topic !== undefined) topics.set(arn, topic)
      }
      const publisher = publisherOf(request.caller)
      const put = rules.map((rule) => ({ ...rule, publisher }))
      this.#parts.namespace.changeBucket(transaction, withNotifications(bucket, put))
      if (!isUnchecked) for (const topic of topics.values()) this.#test(transaction, topic, name, request.requestId)
    })
  }

  async #destination(
    from: Transaction,
    arn: string,
    bucket: Bucket,
    request: PutNotifications,
  ): Promise<Topic | undefined> {
    const name = parseTopicArn(arn)
    const topic = name === undefined ? undefined : await readTopic(from, name)
    if (topic !== undefined && topic.region === name?.region) {
      this.#checkMayPublish(topic, bucket, request)
      return topic
    }
    if (name !== undefined && request.isUnchecked) return undefined
    throw new Fault('InvalidArgument', {
      message: 'Unable to validate the following destination configurations',
      ArgumentName: `${arn}, null`,
      ArgumentValue: 'The destination topic does not exist',
    })
  }

  /** AWS asks the topic's policy about S3 itself; who may publish to it with their own key may let a bucket do so, as in ceph. */
  #checkMayPublish(topic: Topic, bucket: Bucket, { caller, values }: PutNotifications): void {
    if (!takesFrom(topic, sourceOf(bucket, publisherOf(caller)))) throw new Fault('AccessDenied')
    // A policy that names S3 says nothing of who asks.
    if (takesFrom(topic, sourceOf(bucket, nobody))) return
    const resourcePolicy = { policy: policyOf(topic), realm: topicRealm(topic, caller) }
    this.#parts.access.authorizeQuery({
      caller,
      action: 'sns:Publish',
      resource: topicArn(topic),
      values,
      resourcePolicy,
    })
  }

  #test(to: Transaction, { owner, name, region }: Topic, bucket: string, requestId: string): void {
    const { world } = this.#parts
    const time = world.now()
    const text = testMessage(bucket, time, requestId)
    publish(to, {
      topic: { owner, name, region },
      message: { id: messageId(world), kind: 'Notification', subject, text, time },
    })
  }
}

const nobody: Publisher = { accountId: undefined, arns: [] }

function publisherOf(caller: Caller): Publisher {
  if (isAdministrator(caller)) return 'administrator'
  const { accountId, arns } = requesterOf(caller)
  return accountId === undefined ? nobody : { accountId, arns }
}
