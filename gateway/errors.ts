import { el, renderPlain, type Xml } from '#gateway/xml/render.ts'
import { Fault, type FaultCode, type FaultDetails, type SelectFaultCode } from '#src/errors.ts'
import { selectMessages } from './select-errors.ts'

interface Answer {
  readonly status: number
  readonly message: string
}

/**
 * Every code we can answer with; a new FaultCode does not compile until it has a line here. Statuses and messages are AWS's:
 * https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
 */
const answers: Readonly<Record<Exclude<FaultCode, SelectFaultCode>, Answer>> = {
  AccessControlListNotSupported: { status: 400, message: 'The bucket does not allow ACLs.' },
  AccessDenied: { status: 403, message: 'Access Denied' },
  AccessForbidden: { status: 403, message: 'CORSResponse: This CORS request is not allowed.' },
  AmbiguousGrantByEmailAddress: {
    status: 400,
    message: 'The email address you provided is associated with more than one account.',
  },
  AuthorizationHeaderMalformed: { status: 400, message: 'The authorization header you provided is not valid.' },
  AuthorizationQueryParametersError: { status: 400, message: 'The authorization query parameters are not valid.' },
  AuthorizationError: { status: 403, message: 'The user is not authorized to perform this operation.' },
  BadDigest: {
    status: 400,
    message: 'The Content-MD5 or checksum value that you specified did not match what the server received.',
  },
  BadRequest: { status: 400, message: 'An error occurred when parsing the HTTP request.' },
  BucketAlreadyExists: {
    status: 409,
    message:
      'The requested bucket name is not available. The bucket namespace is shared by all users of the system. Specify a different name and try again.',
  },
  BucketAlreadyOwnedByYou: {
    status: 409,
    message: 'Your previous request to create the named bucket succeeded and you already own it.',
  },
  BucketNotEmpty: { status: 409, message: 'The bucket you tried to delete is not empty.' },
  DeleteConflict: { status: 409, message: 'The resource cannot be deleted while others depend on it.' },
  EncryptionTypeMismatch: {
    status: 400,
    message:
      'The existing object was created with a different encryption type. Subsequent write requests must include the appropriate encryption parameters.',
  },
  EntityAlreadyExists: { status: 409, message: 'A resource of this name already exists.' },
  EntityTooLarge: { status: 400, message: 'Your proposed upload exceeds the maximum allowed size.' },
  EntityTooSmall: { status: 400, message: 'Your proposed upload is smaller than the minimum allowed size.' },
  ExpiredToken: { status: 400, message: 'The provided token has expired.' },
  IDPCommunicationError: { status: 400, message: 'The identity provider could not be reached.' },
  IDPRejectedClaim: { status: 403, message: 'The identity provider reported that authentication failed.' },
  IllegalLocationConstraintException: {
    status: 400,
    message:
      'The unspecified location constraint is incompatible for the region specific endpoint this request was sent to.',
  },
  IllegalVersioningConfigurationException: {
    status: 400,
    message: 'The versioning configuration specified in the request is not valid.',
  },
  IncompleteBody: {
    status: 400,
    message: 'You did not provide the number of bytes specified by the Content-Length HTTP header.',
  },
  IncompleteSignature: { status: 400, message: 'The request signature does not conform to AWS standards.' },
  InternalError: { status: 500, message: 'We encountered an internal error. Please try again.' },
  InvalidAccessKeyId: {
    status: 403,
    message: 'The AWS access key ID that you provided does not exist in our records.',
  },
  InvalidAction: { status: 400, message: 'The action or operation requested is not valid.' },
  InvalidArgument: { status: 400, message: 'Invalid Argument' },
  InvalidBucketAclWithObjectOwnership: {
    status: 400,
    message: 'Bucket cannot have ACLs set with ObjectOwnership set to BucketOwnerEnforced.',
  },
  InvalidBucketName: { status: 400, message: 'The specified bucket is not valid.' },
  InvalidBucketState: { status: 409, message: 'The request is not valid for the current state of the bucket.' },
  InvalidClientTokenId: { status: 403, message: 'The security token included in the request is invalid.' },
  InvalidDigest: { status: 400, message: 'The Content-MD5 or checksum value that you specified is not valid.' },
  InvalidEncryptionAlgorithmError: {
    status: 400,
    message: 'The encryption request that you specified is not valid. The valid value is AES256.',
  },
  InvalidIdentityToken: { status: 400, message: 'The web identity token that was passed could not be validated.' },
  InvalidInput: { status: 400, message: 'An invalid or out-of-range value was supplied for an input parameter.' },
  InvalidLocationConstraint: { status: 400, message: 'The specified location constraint is not valid.' },
  InvalidObjectState: { status: 403, message: 'The operation is not valid for the current state of the object.' },
  InvalidParameter: { status: 400, message: 'Invalid parameter' },
  InvalidPart: {
    status: 400,
    message:
      "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
  },
  InvalidPartNumber: { status: 416, message: 'The requested partnumber is not satisfiable.' },
  InvalidPartOrder: {
    status: 400,
    message: 'The list of parts was not in ascending order. The parts list must be specified in order by part number.',
  },
  InvalidPolicyDocument: {
    status: 400,
    message: 'The content of the form does not meet the conditions specified in the policy document.',
  },
  InvalidRange: { status: 416, message: 'The requested range is not satisfiable.' },
  InvalidRedirectLocation: { status: 400, message: 'The website redirect location must be non-empty.' },
  InvalidRequest: { status: 400, message: 'The request is not valid.' },
  InvalidRetentionPeriod: { status: 400, message: 'The retention period must be a positive integer value.' },
  InvalidStorageClass: { status: 400, message: 'The storage class you specified is not valid.' },
  InvalidTag: { status: 400, message: 'The tag provided was not a valid tag.' },
  InvalidTargetBucketForLogging: {
    status: 400,
    message: 'The target bucket for logging does not exist, is not owned by you, or does not have the needed grants.',
  },
  InvalidToken: { status: 400, message: 'The provided token is malformed or otherwise not valid.' },
  InvalidURI: { status: 400, message: 'The specified URI could not be parsed.' },
  InvalidWriteOffset: {
    status: 400,
    message: 'The write offset value that you specified does not match the current object size.',
  },
  'KMS.DisabledException': { status: 400, message: 'The request was rejected because the key is not enabled.' },
  'KMS.NotFoundException': { status: 400, message: 'The encryption key that you named does not exist.' },
  KeyTooLongError: { status: 400, message: 'Your key is too long.' },
  LimitExceeded: { status: 409, message: 'The request would exceed a limit of the account.' },
  MalformedACLError: {
    status: 400,
    message: 'The ACL that you provided was not well formed or did not validate against our published schema.',
  },
  MalformedPOSTRequest: {
    status: 400,
    message: 'The body of your POST request is not well-formed multipart/form-data.',
  },
  MalformedPolicy: { status: 400, message: 'Your policy contains a principal or a statement that is not valid.' },
  MalformedPolicyDocument: { status: 400, message: 'The policy document was malformed.' },
  MalformedTrailerError: {
    status: 400,
    message: 'The request contained trailing data that was not well-formed or did not conform to our published schema.',
  },
  MalformedXML: {
    status: 400,
    message: 'The XML that you provided was not well formed or did not validate against our published schema.',
  },
  MaxMessageLengthExceeded: { status: 400, message: 'Your request was too large.' },
  MaxPostPreDataLengthExceededError: {
    status: 400,
    message: 'Your POST request fields preceding the upload file were too large.',
  },
  MetadataTooLarge: { status: 400, message: 'Your metadata headers exceed the maximum allowed metadata size.' },
  MethodNotAllowed: { status: 405, message: 'The specified method is not allowed against this resource.' },
  MissingAction: { status: 400, message: 'The request is missing an action or a required parameter.' },
  MissingAuthenticationToken: { status: 403, message: 'The request must contain a valid access key ID.' },
  MissingContentLength: { status: 411, message: 'You must provide the Content-Length HTTP header.' },
  MissingRequestBodyError: { status: 400, message: 'Request body is empty.' },
  MissingSecurityHeader: { status: 400, message: 'Your request is missing a required header.' },
  NoSuchAccessPoint: { status: 404, message: 'The specified access point does not exist.' },
  NoSuchBucket: { status: 404, message: 'The specified bucket does not exist.' },
  NoSuchBucketPolicy: { status: 404, message: 'The specified bucket does not have a bucket policy.' },
  NoSuchCORSConfiguration: { status: 404, message: 'The CORS configuration does not exist.' },
  NoSuchConfiguration: { status: 404, message: 'The specified configuration does not exist.' },
  NoSuchEntity: { status: 404, message: 'The named resource does not exist.' },
  NoSuchKey: { status: 404, message: 'The specified key does not exist.' },
  NoSuchLifecycleConfiguration: { status: 404, message: 'The lifecycle configuration does not exist.' },
  NoSuchObjectLockConfiguration: {
    status: 404,
    message: 'The specified object does not have an ObjectLock configuration.',
  },
  NoSuchPublicAccessBlockConfiguration: {
    status: 404,
    message: 'The public access block configuration was not found.',
  },
  NoSuchTagSet: { status: 404, message: 'The TagSet does not exist.' },
  NoSuchUpload: {
    status: 404,
    message:
      'The specified multipart upload does not exist. The upload ID might not be valid, or the multipart upload might have been aborted or completed.',
  },
  NoSuchVersion: {
    status: 404,
    message: 'The version ID specified in the request does not match an existing version.',
  },
  NoSuchWebsiteConfiguration: {
    status: 404,
    message: 'The specified bucket does not have a website configuration.',
  },
  NotFound: { status: 404, message: 'The requested resource does not exist.' },
  NotImplemented: {
    status: 501,
    message: 'A header or operation that you provided implies functionality that is not implemented.',
  },
  NotModified: { status: 304, message: 'Not Modified' },
  ObjectLockConfigurationNotFoundError: {
    status: 404,
    message: 'Object Lock configuration does not exist for this bucket.',
  },
  OperationAborted: {
    status: 409,
    message: 'A conflicting conditional operation is currently in progress against this resource. Try again.',
  },
  OwnershipControlsNotFoundError: { status: 404, message: 'The bucket ownership controls were not found.' },
  PackedPolicyTooLarge: { status: 400, message: 'The session policy and tags are too large together.' },
  PreconditionFailed: {
    status: 412,
    message: 'At least one of the preconditions that you specified did not hold.',
  },
  // As ceph has it; AWS has no such limits.
  QuotaExceeded: { status: 403, message: 'The organization stores as many bytes as it may store.' },
  ReplicationConfigurationNotFoundError: {
    status: 404,
    message: 'There is no replication configuration for this bucket.',
  },
  RequestExpired: { status: 400, message: 'Request has expired.' },
  RequestHeaderSectionTooLarge: {
    status: 431,
    message: 'Your request header and query parameters exceed the maximum allowed size.',
  },
  RequestTimeTooSkewed: {
    status: 403,
    message: "The difference between the request time and the server's time is too large.",
  },
  RequestTimeout: {
    status: 400,
    message: 'Your socket connection to the server was not read from or written to within the timeout period.',
  },
  RestoreAlreadyInProgress: { status: 409, message: 'Object restore is already in progress.' },
  ServerSideEncryptionConfigurationNotFoundError: {
    status: 404,
    message: 'The server-side encryption configuration was not found.',
  },
  ServiceUnavailable: { status: 503, message: 'Service is unable to handle request.' },
  SignatureDoesNotMatch: {
    status: 403,
    message:
      'The request signature that the server calculated does not match the signature that you provided. Check your AWS secret access key and signing method.',
  },
  SlowDown: { status: 503, message: 'Please reduce your request rate.' },
  SubscriptionLimitExceeded: { status: 403, message: 'The topic has as many subscriptions as it can have.' },
  TooManyBuckets: { status: 400, message: 'You have attempted to create more buckets than are allowed.' },
  TooManyConfigurations: {
    status: 400,
    message: 'You are attempting to create a new configuration but have already reached the 1,000-configuration limit.',
  },
  TooManyParts: {
    status: 400,
    message:
      'You have attempted to add more parts than the maximum of 10000 that are allowed for this object. You can use the CopyObject operation to copy this object to another and then add more data to the newly copied object.',
  },
  TopicLimitExceeded: { status: 403, message: 'The account has as many topics as it can have.' },
  UnexpectedContent: { status: 400, message: 'This request contains unsupported content.' },
  UnmodifiableEntity: { status: 400, message: 'This resource cannot be changed.' },
  UnresolvableGrantByEmailAddress: {
    status: 400,
    message: 'The email address that you provided does not match any account on record.',
  },
  UserKeyMustBeSpecified: { status: 400, message: 'The bucket POST or delete must contain the specified key.' },
  ValidationError: { status: 400, message: 'The input fails to satisfy the constraints of the service.' },
  XAmzContentChecksumMismatch: {
    status: 400,
    message: 'The provided checksum does not match what was computed.',
  },
  XAmzContentSHA256Mismatch: {
    status: 400,
    message: 'The provided x-amz-content-sha256 header does not match what was computed.',
  },
}

/** What is wrong with a query, or with what it reads, is the client's to mend. */
const isSelectCode = (code: FaultCode): code is SelectFaultCode => Object.hasOwn(selectMessages, code)

export function answerOf(code: FaultCode): Answer {
  if (!isSelectCode(code)) return answers[code]
  return { status: code === 'Busy' ? 503 : 400, message: selectMessages[code] }
}

/**
 * What a driver of the store may fail with that says nothing of the request: it may be tried again. `unreadable`: there is a
 * record, but no good copy of the bytes, which is never 404 (C21).
 */
const unavailable: ReadonlySet<unknown> = new Set([
  'full',
  'transaction_too_old',
  'unavailable',
  'unknown_result',
  'closed',
  'unreadable',
  'ENOSPC',
])

/**
 * What the client is told about anything thrown. What is not a Fault is a bug or a failing machine: `isExpected` is false,
 * the caller logs it whole, and nothing of it is echoed.
 */
export function faultOf(thrown: unknown): { readonly fault: Fault; readonly isExpected: boolean } {
  if (thrown instanceof Fault) return { fault: thrown, isExpected: thrown.code !== 'InternalError' }
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
  const fault = new Fault(unavailable.has(code) ? 'ServiceUnavailable' : 'InternalError', {}, { cause: thrown })
  return { fault, isExpected: false }
}

export interface RequestIds {
  /** The path as the client wrote it, decoded. */
  readonly resource: string
  readonly requestId: string
  readonly hostId: string
}

/** Details become elements as they are; those that start in lower case are for the gateway only. */
function elements(details: FaultDetails): readonly Xml[] {
  return Object.entries(details)
    .filter(([name]) => /^[A-Z]/.test(name))
    .map(([name, value]) => el(name, value))
}

export function errorElement(fault: Fault, ids: RequestIds): Xml {
  const { code, details } = fault
  return el(
    'Error',
    el('Code', code),
    el('Message', details['message'] ?? answerOf(code).message),
    ...elements(details),
    'Resource' in details ? undefined : el('Resource', ids.resource),
    el('RequestId', ids.requestId),
    el('HostId', ids.hostId),
  )
}

const httpDate = (value: string | number): string => (typeof value === 'number' ? new Date(value).toUTCString() : value)
const quoted = (etag: string): string => (etag.startsWith('"') || etag.startsWith('W/') ? etag : `"${etag}"`)

/** What clients read from the headers of a refusal: validators of a 304, and where a delete marker stands. */
function errorHeaders({ code, details }: Fault): Record<string, string> {
  const headers: Record<string, string> = {}
  const { isMarker } = details
  // In lower case they are for the headers alone, and in capitals for the document too.
  const etag = details['etag'] ?? details['ETag']
  const modified = details['modified'] ?? details['LastModified']
  const versionId = details['versionId'] ?? details['VersionId']
  const isRevealing = code === 'NotModified' || isMarker === 1
  if (isRevealing && modified !== undefined) headers['last-modified'] = httpDate(modified)
  if (isRevealing && versionId !== undefined) headers['x-amz-version-id'] = String(versionId)
  if (code === 'NotModified' && etag !== undefined) headers['etag'] = quoted(String(etag))
  if (isMarker === 1) headers['x-amz-delete-marker'] = 'true'
  if (isMarker === 1 && code === 'MethodNotAllowed') headers['allow'] = 'DELETE'
  if (code === 'RequestTimeout' || code === 'BadRequest') headers['connection'] = 'close'
  return headers
}

export interface ErrorAnswer {
  readonly status: number
  readonly headers: Record<string, string>
  /** Empty where HTTP allows no body (304). */
  readonly body: string
}

export function errorAnswer(fault: Fault, ids: RequestIds): ErrorAnswer {
  const { status } = answerOf(fault.code)
  const headers = errorHeaders(fault)
  if (status === 304) return { status, headers, body: '' }
  headers['content-type'] = 'application/xml'
  return { status, headers, body: renderPlain(errorElement(fault, ids)) }
}
