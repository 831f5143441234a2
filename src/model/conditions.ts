/** Conditional headers, parsed. https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html */
export interface Conditions {
  /** ETags without quotes, or `*`. */
  readonly ifMatch?: readonly string[]
  readonly ifNoneMatch?: readonly string[]
  /** Milliseconds since the epoch; HTTP dates have whole seconds. */
  readonly ifModifiedSince?: number
  readonly ifUnmodifiedSince?: number
  /** x-amz-if-match-size and -last-modified-time of DeleteObject. */
  readonly ifMatchSize?: number
  readonly ifMatchModified?: number
}

/** What a condition looks at. */
export interface ConditionSubject {
  readonly etag: string
  readonly modified: number
  readonly size: number
}

const names = (etags: readonly string[], subject: ConditionSubject): boolean =>
  etags.some((each) => each === '*' || each === subject.etag)

/** HTTP dates carry no milliseconds. */
const seconds = (milliseconds: number): number => Math.floor(milliseconds / 1000)

/**
 * RFC 9110 §13.2.2, as S3 answers it: If-Match wins over If-Unmodified-Since, If-None-Match over If-Modified-Since.
 * `failed` is 412; `unmodified` is 304 for a read.
 */
export function checkRead(conditions: Conditions, subject: ConditionSubject): 'passed' | 'failed' | 'unmodified' {
  const { ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince } = conditions
  if (ifMatch !== undefined) {
    if (!names(ifMatch, subject)) return 'failed'
  } else if (ifUnmodifiedSince !== undefined && seconds(subject.modified) > seconds(ifUnmodifiedSince)) {
    return 'failed'
  }
  if (ifNoneMatch !== undefined) return names(ifNoneMatch, subject) ? 'unmodified' : 'passed'
  if (ifModifiedSince !== undefined && seconds(subject.modified) <= seconds(ifModifiedSince)) return 'unmodified'
  return 'passed'
}

/** Of a write or a delete, against what stands (undefined: nothing). `missing`: If-Match on a key that is not there (404). */
export function checkWrite(
  conditions: Conditions,
  subject: ConditionSubject | undefined,
): 'passed' | 'failed' | 'missing' {
  if (subject === undefined) {
    if (conditions.ifMatch !== undefined || conditions.ifMatchSize !== undefined) return 'missing'
    return conditions.ifMatchModified === undefined ? 'passed' : 'missing'
  }
  const { ifMatchSize, ifMatchModified } = conditions
  if (ifMatchSize !== undefined && ifMatchSize !== subject.size) return 'failed'
  if (ifMatchModified !== undefined && seconds(ifMatchModified) !== seconds(subject.modified)) return 'failed'
  return checkRead(conditions, subject) === 'passed' ? 'passed' : 'failed'
}
