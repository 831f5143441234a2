import { isIPv4 } from 'node:net'
import type { Bucket } from '#src/model/bucket.ts'
import type { Caller } from '#src/model/identity.ts'
import { type StandardRecord, standardLine } from '#src/model/log-lines.ts'
import { standardLogging } from '#src/model/logging.ts'
import { isOfAccount } from '#src/model/principal.ts'
import type { ObjectVersion } from '#src/model/version.ts'
import type { AccessRequest } from '#src/service/access.ts'
import type { Address } from './address.ts'
import { conditionValues } from './auth/condition-values.ts'
import type { Incoming } from './incoming.ts'
import type { Match, S3Request } from './operations/operation.ts'

const copyHeader = 'x-amz-copy-source'

/**
 * What the stations of a request find out that a record of it tells. Of most requests nothing is recorded: until the bucket is
 * known to be logged, things are only noted.
 */
export class Notes {
  bucket: Bucket | undefined
  version: ObjectVersion | undefined
  match: Match | undefined
  request: S3Request | undefined
  asked: AccessRequest | undefined
  /** Of a call of the query APIs. */
  caller: Caller | undefined
  /** Of a copy. */
  source: { readonly key: string; bucket?: Bucket; version?: ObjectVersion } | undefined
}

/** A request whose bucket is logged. */
export interface Recorded {
  readonly notes: Notes
  readonly bucket: Bucket
  readonly incoming: Incoming
  readonly address: Address
  readonly isByAcl: boolean
  /** Where the record is of the reading that a copy does, in the bucket that it reads from. */
  readonly ofSource?: { readonly key: string; readonly size: number | undefined }
}

/** How a request ended. */
export interface Ending {
  readonly status: number
  readonly errorCode?: string
  readonly bytesSent?: number
  readonly versionId?: string
  /** Where the record is of one of many objects in the request. */
  readonly ofKey?: string
}

export interface Exchanged {
  readonly target: string
  readonly httpVersion: string
  readonly hostId: string
  /** Milliseconds since the epoch. */
  readonly began: number
  readonly totalMilliseconds: number
  readonly turnAroundMilliseconds: number
}

export const isCopy = ({ keys = [] }: Match): boolean => keys.includes(copyHeader)

export const isRecorded = (bucket: Bucket | undefined): bucket is Bucket =>
  bucket !== undefined && standardLogging(bucket) !== undefined

/** What AWS calls a resource where the query does not. */
const resources: Readonly<Record<string, string>> = {
  analytics: 'ANALYTICS',
  attributes: 'OBJECT_ATTRIBUTES',
  delete: 'MULTI_OBJECT_DELETE',
  'intelligent-tiering': 'INTELLIGENT_TIERING',
  legal: 'LEGAL_HOLD',
  'legal-hold': 'LEGAL_HOLD',
  'list-type': 'BUCKET',
  logging: 'LOGGING_STATUS',
  'object-lock': 'OBJECT_LOCK_CONFIGURATION',
  ownershipControls: 'OWNERSHIP_CONTROLS',
  partNumber: 'PART',
  policy: 'BUCKETPOLICY',
  policyStatus: 'POLICY_STATUS',
  publicAccessBlock: 'PUBLIC_ACCESS_BLOCK',
  requestPayment: 'REQUEST_PAYMENT',
  uploadId: 'UPLOAD',
  versions: 'BUCKETVERSIONS',
}

/** `REST.GET.OBJECT`: https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html#log-record-fields */
export function operationName(method: string, match: Match | undefined): string {
  if (method === 'OPTIONS') return 'REST.OPTIONS.PREFLIGHT'
  if (match === undefined) return `REST.${method}.BUCKET`
  const { scope, keys = [] } = match
  const [name] = keys.map((each) => each.split('=', 1)[0] ?? '').filter((each) => each !== copyHeader)
  if (keys.includes(copyHeader)) return name === undefined ? 'REST.COPY.OBJECT' : 'REST.COPY.PART'
  const verb = `REST.${method}.`
  if (name === undefined) return `${verb}${scope.toUpperCase()}`
  if (name === 'tagging' && scope === 'object') return `${verb}OBJECT_TAGGING`
  return `${verb}${resources[name] ?? name.toUpperCase()}`
}

/** An IPv4 client of a socket for both families. */
function unmapped(address: string): string {
  const inner = address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address
  return isIPv4(inner) ? inner : address
}

/** What opens a store for its bearer has no place in a file that others read. */
const bearer = /([?&](?:X-Amz-Signature|X-Amz-Security-Token|Signature)=)[^&]*/gi

function authentication({
  incoming,
  address,
}: Recorded): Pick<StandardRecord, 'authenticationType' | 'signatureVersion'> {
  const { remoteAddress, isSecure } = incoming
  const headers = incoming.headers as S3Request['headers']
  const values = conditionValues({ remoteAddress, isSecure, headers, query: address.query })
  const [type] = values.get('s3:authtype') ?? []
  const [version] = values.get('s3:signatureversion') ?? []
  return {
    authenticationType:
      type === 'REST-HEADER' ? 'AuthHeader' : type === 'REST-QUERY-STRING' ? 'QueryString' : undefined,
    signatureVersion: version === undefined ? undefined : version === 'AWS' ? 'SigV2' : 'SigV4',
  }
}

/** What a request does to each of the objects that it names: `POST /bucket?delete` deletes them. */
const verbOf = (match: Match | undefined): string => match?.keys?.[0]?.toUpperCase() ?? 'POST'

/** Whether the body is what is kept, rather than a document about it. */
const isUpload = (match: Match | undefined): boolean =>
  match?.method === 'PUT' &&
  match.scope === 'object' &&
  (match.keys ?? []).every((key) => key === 'partNumber' || key === 'uploadId')

/** What was done to what. */
function subjectOf(
  { notes, incoming: { method }, address, ofSource }: Recorded,
  { ofKey }: Ending,
): Pick<StandardRecord, 'operation' | 'key' | 'objectSize'> {
  const { match, request, version } = notes
  const operation = address.isWebsite === true ? `WEBSITE.${method}.OBJECT` : operationName(method, match)
  if (ofSource !== undefined) return { operation: `${operation}_GET`, key: ofSource.key, objectSize: ofSource.size }
  if (ofKey !== undefined) return { operation: `BATCH.${verbOf(match)}.OBJECT`, key: ofKey, objectSize: undefined }
  const isRead = method === 'GET' || method === 'HEAD'
  const objectSize = isUpload(match) ? request?.body.length : isRead ? version?.size : undefined
  return { operation, key: address.scope === 'object' ? address.key : undefined, objectSize }
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html: an account's canonical id, or the ARN of who acts in it. */
const requesterName = ({ account, principal }: Extract<Caller, { kind: 'account' }>): string =>
  principal === undefined || isOfAccount(principal) ? account.id : principal.arn

/** The line of a request that has ended, or is about to. */
export function recordLine(recorded: Recorded, exchanged: Exchanged, ending: Ending): string {
  const { notes, bucket, incoming, address, ofSource } = recorded
  const { caller } = notes.request ?? {}
  const { headers, method } = incoming
  return standardLine({
    owner: bucket.owner,
    bucket: bucket.name,
    time: exchanged.began,
    remoteAddress: unmapped(incoming.remoteAddress),
    requester: caller?.kind === 'account' ? requesterName(caller) : undefined,
    requestId: incoming.id,
    ...subjectOf(recorded, ending),
    requestLine: `${method} ${exchanged.target.replace(bearer, '$1REDACTED')} HTTP/${exchanged.httpVersion}`,
    status: ending.status,
    errorCode: ending.errorCode,
    bytesSent: ofSource === undefined ? ending.bytesSent : undefined,
    totalMilliseconds: exchanged.totalMilliseconds,
    turnAroundMilliseconds: exchanged.turnAroundMilliseconds,
    referer: headers.referer,
    userAgent: headers['user-agent'],
    versionId: ofSource === undefined ? (ending.versionId ?? address.query.get('versionId')) : undefined,
    hostId: exchanged.hostId,
    ...authentication(recorded),
    host: headers.host,
    isByAcl: recorded.isByAcl && ending.status < 400,
  })
}
