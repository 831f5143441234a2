import type { Bucket } from './bucket.ts'
import type { EventName, NotificationRule } from './notification.ts'
import type { Stamp } from './stamp.ts'

/** What became of an object, and who did it. */
export interface Occurrence {
  readonly event: EventName
  readonly bucket: Bucket
  readonly key: string
  /** In milliseconds since the epoch. */
  readonly time: number
  readonly region: string
  /** Grows with each change of a key. */
  readonly stamp: Stamp
  /** On the wire; undefined where the bucket has no versions. */
  readonly versionId: string | undefined
  /** Of the object, where there is one after it. */
  readonly object?: { readonly size: number; readonly etag: string }
  readonly cause: EventCause
}

export interface EventCause {
  readonly principalId: string
  readonly requestId: string
  readonly sourceAddress: string
}

/** The service itself, by a rule of the bucket. */
export const ownCause: EventCause = {
  principalId: 's3.amazonaws.com',
  requestId: '',
  sourceAddress: 's3.amazonaws.com',
}

/** As HTML forms encode it, but for slashes: a key is told so in events, `red flower.jpg` as `red+flower.jpg`. */
const formEncoded = (text: string): string =>
  new URLSearchParams([['', text.toWellFormed()]]).toString().slice(1).replaceAll('%2F', '/')

/** Events that S3 added later say so by their version. */
const laterEvents = /^(Lifecycle|ObjectAcl|ObjectTagging)/

/** Fixed width, so that comparing texts compares numbers, however a client pads them. */
const sequencerOf = (stamp: Stamp): string => stamp.toString(16).toUpperCase().padStart(16, '0')

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html */
export function eventMessage(occurrence: Occurrence, { id }: NotificationRule): string {
  const { event, bucket, key, time, region, stamp, versionId, object, cause } = occurrence
  const record = {
    eventVersion: laterEvents.test(event) ? '2.3' : '2.1',
    eventSource: 'aws:s3',
    awsRegion: region,
    eventTime: new Date(time).toISOString(),
    eventName: event,
    userIdentity: { principalId: cause.principalId },
    requestParameters: { sourceIPAddress: cause.sourceAddress },
    responseElements: { 'x-amz-request-id': cause.requestId },
    s3: {
      s3SchemaVersion: '1.0',
      configurationId: id,
      bucket: {
        name: bucket.name,
        ownerIdentity: { principalId: bucket.owner },
        arn: `arn:aws:s3:::${bucket.name}`,
      },
      object: {
        key: formEncoded(key),
        ...(object !== undefined && { size: object.size, eTag: object.etag }),
        ...(versionId !== undefined && { versionId }),
        sequencer: sequencerOf(stamp),
      },
    },
  }
  return JSON.stringify({ Records: [record] })
}

/** What S3 sends when a configuration was put, so that its maker sees that it arrives. */
export function testMessage(bucket: string, time: number, requestId: string): string {
  return JSON.stringify({
    Service: 'Amazon S3',
    Event: 's3:TestEvent',
    Time: new Date(time).toISOString(),
    Bucket: bucket,
    RequestId: requestId,
  })
}
