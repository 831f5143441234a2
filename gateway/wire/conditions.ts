import { Fault } from '#src/errors.ts'
import type { Conditions } from '#src/model/conditions.ts'
import { type EntityTag, parseEntityTags } from './etag.ts'
import { parseAnyDate, parseHttpDate } from './http-date.ts'
import { integerArgument } from './integer.ts'

type Headers = Readonly<Record<string, string | undefined>>

const values = (tags: readonly EntityTag[]): readonly string[] => tags.map((tag) => tag.value)
/** If-Match compares strongly: a weak tag matches nothing (RFC 9110 §13.1.1). Our own tags are all strong. */
const strong = (tags: readonly EntityTag[]): readonly string[] => values(tags.filter((tag) => !tag.isWeak))

/** A date that cannot be read is no condition (RFC 9110 §13.1.3); an empty tag list neither. */
export function conditionsWith(prefix: string, headers: Headers): Conditions {
  const ifMatch = headers[`${prefix}if-match`]
  const ifNoneMatch = headers[`${prefix}if-none-match`]
  const ifModifiedSince = parseHttpDate(headers[`${prefix}if-modified-since`] ?? '')
  const ifUnmodifiedSince = parseHttpDate(headers[`${prefix}if-unmodified-since`] ?? '')
  return {
    ...(ifMatch !== undefined && ifMatch !== '' && { ifMatch: strong(parseEntityTags(ifMatch)) }),
    ...(ifNoneMatch !== undefined && ifNoneMatch !== '' && { ifNoneMatch: values(parseEntityTags(ifNoneMatch)) }),
    ...(ifModifiedSince !== undefined && { ifModifiedSince }),
    ...(ifUnmodifiedSince !== undefined && { ifUnmodifiedSince }),
  }
}

const none: Conditions = {}
const names = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since'] as const

/** Of GET and HEAD. */
export function readConditions(headers: Headers): Conditions {
  return names.some((name) => headers[name] !== undefined) ? conditionsWith('', headers) : none
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html: about the source. */
export function copySourceConditions(headers: Headers): Conditions {
  return conditionsWith('x-amz-copy-source-', headers)
}

/**
 * Of a write, about what stands under its key. An If-Match of the empty tag is Tigris' way to say "only if there is nothing"
 * (its SDK's CreateObjectIfNotExists).
 */
export function writeConditions(headers: Headers): Conditions {
  if (!names.some((name) => headers[name] !== undefined)) return none
  const { ifMatch, ...rest } = conditionsWith('', headers)
  const text = headers['if-match']
  if (text === '' || text === '""') return { ...rest, ifNoneMatch: ['*'] }
  return { ...rest, ...(ifMatch !== undefined && { ifMatch }) }
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html */
export function deleteConditions(headers: Headers): Conditions {
  const size = headers['x-amz-if-match-size']
  const modified = headers['x-amz-if-match-last-modified-time']
  return {
    ...readConditions(headers),
    ...(size !== undefined && {
      ifMatchSize: integerArgument('x-amz-if-match-size', size, 0, Number.MAX_SAFE_INTEGER),
    }),
    ...(modified !== undefined && { ifMatchModified: dateArgument('x-amz-if-match-last-modified-time', modified) }),
  }
}

/** A condition that would be dropped must not let a delete through: what cannot be read is refused. */
export function dateArgument(name: string, text: string): number {
  const value = parseAnyDate(text)
  if (value === undefined) {
    throw new Fault('InvalidArgument', { message: `Invalid date in ${name}`, ArgumentName: name, ArgumentValue: text })
  }
  return value
}
