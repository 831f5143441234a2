import { sign } from 'node:crypto'

/**
 * How a message looks to its endpoint. https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
 *
 * H5  every field that a receiver acts on is under the signature.
 */
export interface Envelope {
  readonly kind: 'Notification' | 'SubscriptionConfirmation'
  readonly id: string
  readonly topicArn: string
  readonly subject?: string
  readonly text: string
  /** Milliseconds since the epoch. */
  readonly time: number
  readonly signingCertUrl: string
  readonly unsubscribeUrl?: string
  readonly confirmation?: { readonly token: string; readonly url: string }
}

/** https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html: names and values by name, a line each. */
function stringToSign(fields: Readonly<Record<string, string | undefined>>): string {
  let text = ''
  for (const name of Object.keys(fields).sort()) {
    const value = fields[name]
    if (value !== undefined) text += `${name}\n${value}\n`
  }
  return text
}

/** The document that is posted, with its signature of version 2 (RSA and SHA-256). */
export function envelopeText(envelope: Envelope, privateKey: string): string {
  const { kind, id, topicArn, subject, text, time, confirmation, unsubscribeUrl } = envelope
  const signed = {
    Type: kind,
    MessageId: id,
    Token: confirmation?.token,
    TopicArn: topicArn,
    Subject: subject,
    Message: text,
    SubscribeURL: confirmation?.url,
    Timestamp: new Date(time).toISOString(),
  }
  return JSON.stringify({
    ...signed,
    SignatureVersion: '2',
    Signature: sign('sha256', Buffer.from(stringToSign(signed)), privateKey).toString('base64'),
    SigningCertURL: envelope.signingCertUrl,
    UnsubscribeURL: unsubscribeUrl,
  })
}

/** Of a message that goes without its envelope: over its id, its time and its bytes, a line each. */
export const rawSignature = (id: string, timestamp: string, body: string, privateKey: string): string =>
  sign('sha256', Buffer.from(`${id}\n${timestamp}\n${body}`), privateKey).toString('base64')
