/**
 * The lines of log objects.
 *
 * H3  nothing that a client sends ends a field or a line before its time: what is not in quotes has no white space, what is in
 *     quotes no quote, and neither a control character.
 */

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html; what is undefined is a dash. */
export interface StandardRecord {
  readonly owner: string
  readonly bucket: string
  /** Milliseconds since the epoch. */
  readonly time: number
  readonly remoteAddress: string | undefined
  /** Canonical id; undefined: anonymous. */
  readonly requester: string | undefined
  readonly requestId: string | undefined
  /** `REST.GET.OBJECT`. */
  readonly operation: string
  readonly key: string | undefined
  /** `GET /bucket/key HTTP/1.1`. */
  readonly requestLine: string | undefined
  readonly status: number | undefined
  readonly errorCode: string | undefined
  readonly bytesSent: number | undefined
  readonly objectSize: number | undefined
  readonly totalMilliseconds: number | undefined
  readonly turnAroundMilliseconds: number | undefined
  readonly referer: string | undefined
  readonly userAgent: string | undefined
  readonly versionId: string | undefined
  readonly hostId: string | undefined
  readonly signatureVersion: 'SigV2' | 'SigV4' | undefined
  readonly authenticationType: 'AuthHeader' | 'QueryString' | undefined
  readonly host: string | undefined
  /** Whether nothing but an ACL allowed it. */
  readonly isByAcl: boolean
}

/** A change of an object: https://docs.ceph.com/en/latest/radosgw/bucket_logging/#journal */
export interface JournalRecord {
  readonly owner: string
  readonly bucket: string
  readonly time: number
  readonly operation: string
  readonly key: string
  readonly size: number | undefined
  readonly versionId: string | undefined
  readonly etag: string | undefined
}

const none = '-'

const percent = (text: string): string =>
  Array.from(Buffer.from(text, 'utf8'), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')

/** Without quotes around it. */
const plain = (text: string | undefined): string =>
  text === undefined || text === '' ? none : text.toWellFormed().replace(/[\s"[\]\p{Cc}]/gu, percent)

const quoted = (text: string | undefined): string =>
  text === undefined || text === '' ? none : `"${text.toWellFormed().replace(/["\p{Cc}\u2028\u2029]/gu, percent)}"`

/** As in a URL, so that it can be looked up as it stands; slashes stay. */
const keyText = (key: string | undefined): string =>
  key === undefined || key === ''
    ? none
    : encodeURIComponent(key.toWellFormed()).replaceAll('%2F', '/').replaceAll("'", '%27')

/** AWS has a dash for nothing. */
const count = (value: number | undefined): string => (value === undefined || value === 0 ? none : String(value))

const duration = (milliseconds: number | undefined): string =>
  milliseconds === undefined ? none : String(Math.round(milliseconds))

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

function timeText(time: number): string {
  const date = new Date(time)
  const two = (value: number): string => String(value).padStart(2, '0')
  const clock = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(two).join(':')
  return `[${two(date.getUTCDate())}/${months[date.getUTCMonth()]}/${date.getUTCFullYear()}:${clock} +0000]`
}

/** One line, with its end. TLS ends before this server, and access points there are none. */
export function standardLine(record: StandardRecord): string {
  const fields = [
    plain(record.owner),
    plain(record.bucket),
    timeText(record.time),
    plain(record.remoteAddress),
    plain(record.requester),
    plain(record.requestId),
    plain(record.operation),
    keyText(record.key),
    quoted(record.requestLine),
    count(record.status),
    plain(record.errorCode),
    count(record.bytesSent),
    count(record.objectSize),
    duration(record.totalMilliseconds),
    duration(record.turnAroundMilliseconds),
    quoted(record.referer),
    quoted(record.userAgent),
    plain(record.versionId),
    plain(record.hostId),
    plain(record.signatureVersion),
    none,
    plain(record.authenticationType),
    plain(record.host),
    none,
    none,
    record.isByAcl ? 'Yes' : none,
  ]
  return `${fields.join(' ')}\n`
}

/** What lifecycle rules did: https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-and-other-bucket-config.html#lifecycle-general-considerations-logging */
export type LifecycleRecord = Pick<
  StandardRecord,
  'owner' | 'bucket' | 'time' | 'operation' | 'key' | 'objectSize' | 'versionId'
>

export const lifecycleLine = (record: LifecycleRecord): string =>
  standardLine({
    remoteAddress: undefined,
    requester: 'AmazonS3',
    requestId: undefined,
    requestLine: undefined,
    status: undefined,
    errorCode: undefined,
    bytesSent: undefined,
    totalMilliseconds: undefined,
    turnAroundMilliseconds: undefined,
    referer: undefined,
    userAgent: undefined,
    hostId: undefined,
    signatureVersion: undefined,
    authenticationType: undefined,
    host: undefined,
    isByAcl: false,
    ...record,
  })

export function journalLine({ owner, bucket, time, operation, key, size, versionId, etag }: JournalRecord): string {
  const fields = [
    plain(owner),
    plain(bucket),
    timeText(time),
    plain(operation),
    keyText(key),
    size === undefined ? none : String(size),
    plain(versionId),
    plain(etag),
  ]
  return `${fields.join(' ')}\n`
}
