import type { Message, PlacedDelivery } from '#src/metadata/notification-records.ts'
import { isPushedRaw, pushEndpoint, type Subscription, type Topic, topicArn } from '#src/model/topic.ts'
import { envelopeText, rawSignature } from '#src/webhook/envelope.ts'
import type { Posting } from '#src/webhook/sender.ts'

/** Where the certificate is served, that signatures of messages are verified with. */
export const certificatePath = '/.well-known/meridian-notifications.pem'

/** An endpoint, as it is when a message leaves for it. */
export interface Destination {
  readonly url: string
  readonly base: string
  readonly topicArn: string
  /** Undefined: the topic's own endpoint. */
  readonly subscriptionArn: string | undefined
  readonly isRaw: boolean
}

/** Undefined: the message goes nowhere any more. */
export function destinationOf(
  { target, delivery }: PlacedDelivery,
  topic: Topic | undefined,
  subscription: Subscription | undefined,
): Destination | undefined {
  if (topic === undefined || topic.region !== delivery.region) return undefined
  const arn = topicArn(topic)
  if (target.subscription === '') {
    const url = pushEndpoint(topic)
    if (url === undefined) return undefined
    return { url, base: topic.base, topicArn: arn, subscriptionArn: undefined, isRaw: isPushedRaw(topic) }
  }
  if (subscription === undefined || !awaits(subscription, delivery.message)) return undefined
  const { id, endpoint, base, isRaw } = subscription
  return { url: endpoint, base, topicArn: arn, subscriptionArn: `${arn}:${id}`, isRaw }
}

/** A confirmation is for who has not confirmed, everything else for who has (H6). */
const awaits = ({ pending }: Subscription, { kind, token }: Message): boolean =>
  kind === 'SubscriptionConfirmation' ? pending?.token === token : pending === undefined

const linkTo = (base: string, fields: Readonly<Record<string, string>>): string =>
  `${base}/?${new URLSearchParams(fields).toString()}`

/** What is posted. https://docs.aws.amazon.com/sns/latest/dg/sns-http-https-endpoint-as-subscriber.html */
export function postingOf(message: Message, destination: Destination, privateKey: string): Posting {
  const { url, base, topicArn: arn, subscriptionArn } = destination
  const { id, kind, text, time, subject, token } = message
  const signingCertUrl = `${base}${certificatePath}`
  const headers = {
    'user-agent': 'Meridian',
    'x-amz-sns-message-type': kind,
    'x-amz-sns-message-id': id,
    'x-amz-sns-topic-arn': arn,
    ...(subscriptionArn !== undefined && { 'x-amz-sns-subscription-arn': subscriptionArn }),
  }
  // Whoever is asked to confirm must see what.
  if (destination.isRaw && kind === 'Notification') {
    const timestamp = new Date(time).toISOString()
    const body = text
    return {
      url,
      body,
      headers: {
        ...headers,
        'content-type': 'text/plain; charset=UTF-8',
        'x-amz-sns-rawdelivery': 'true',
        'x-meridian-timestamp': timestamp,
        'x-meridian-signature': rawSignature(id, timestamp, body, privateKey),
        'x-meridian-signing-cert-url': signingCertUrl,
      },
    }
  }
  const envelope = {
    kind,
    id,
    topicArn: arn,
    text,
    time,
    signingCertUrl,
    ...(subject !== undefined && { subject }),
    ...(token !== undefined && {
      confirmation: { token, url: linkTo(base, { Action: 'ConfirmSubscription', TopicArn: arn, Token: token }) },
    }),
    ...(kind === 'Notification' &&
      subscriptionArn !== undefined && {
        unsubscribeUrl: linkTo(base, { Action: 'Unsubscribe', SubscriptionArn: subscriptionArn }),
      }),
  }
  const body = envelopeText(envelope, privateKey)
  return { url, body, headers: { ...headers, 'content-type': 'text/plain; charset=UTF-8' } }
}
