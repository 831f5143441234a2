import { type Message, publish } from '#src/metadata/notification-records.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { type EventCause, eventMessage, ownCause } from '#src/model/event-message.ts'
import { type EventName, notificationsOf, rulesFor } from '#src/model/notification.ts'
import type { Stamp } from '#src/model/stamp.ts'
import { parseTopicArn } from '#src/model/topic.ts'
import { sourceOf } from '#src/model/topic-policy.ts'
import type { Transaction } from '#src/store/store.ts'
import type { Cause } from './cause.ts'
import type { Foundation } from './foundation.ts'
import { messageId } from './message-ids.ts'
import type { Written } from './services.ts'

export interface ObjectEvent {
  readonly event: EventName
  readonly bucket: Bucket
  readonly key: string
  readonly stamp: Stamp
  readonly versionId: string | undefined
  readonly object?: { readonly size: number; readonly etag: string }
  /** Absent: the store itself, by a rule of the bucket. */
  readonly cause: Cause | undefined
}

const subject = 'Amazon S3 Notification'

const causeOf = ({ id, caller, remoteAddress }: Cause): EventCause => ({
  principalId: caller.kind === 'anonymous' ? 'anonymous' : (caller.principal?.id ?? caller.account.id),
  requestId: id,
  sourceAddress: remoteAddress,
})

/**
 * Tells of a change, in the transaction that makes it.
 *
 * H7  a change that a rule of its bucket meets and its message commit together, or neither does; a bucket without rules costs
 *     no read and no write.
 */
export function tell(foundation: Foundation, to: Transaction, happened: ObjectEvent): void {
  const rules = notificationsOf(happened.bucket)
  if (rules.length === 0) return
  const { world, region } = foundation
  const { cause, ...rest } = happened
  const time = world.now()
  for (const rule of rulesFor(rules, happened.event, happened.key)) {
    const topic = parseTopicArn(rule.topic)
    if (topic === undefined) continue
    const occurrence = { ...rest, time, region, cause: cause === undefined ? ownCause : causeOf(cause) }
    const text = eventMessage(occurrence, rule)
    const message: Message = { id: messageId(world), kind: 'Notification', subject, text, time }
    publish(to, {
      topic,
      message,
      ...(rule.publisher !== undefined && { source: sourceOf(happened.bucket, rule.publisher) }),
    })
  }
}

/** What was made: by `cause`, as the event says. */
export function tellWritten(
  foundation: Foundation,
  to: Transaction,
  { bucket, key }: { readonly bucket: Bucket; readonly key: string },
  { version, versionId }: Written,
  event: EventName,
  cause: Cause | undefined,
): void {
  tell(foundation, to, { event, bucket, key, stamp: version.stamp, versionId, object: version, cause })
}
