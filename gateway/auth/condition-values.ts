import { isIPv4 } from 'node:net'
import { parseCopySource } from '#gateway/wire/copy-source.ts'
import { parseTaggingHeader } from '#gateway/wire/tagging-header.ts'
import type { ConditionValues } from '#src/model/policy-variables.ts'

/** The parts of a request that conditions of policies may look at. */
export interface ConditionSource {
  readonly remoteAddress: string
  readonly isSecure: boolean
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly query: ReadonlyMap<string, string>
}

const requestTag = 's3:requestobjecttag/'

/**
 * A request's values under the names of policies, each found when it is asked for: most requests meet no policy.
 * https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html#amazons3-policy-keys
 */
export function conditionValues(source: ConditionSource): ConditionValues {
  return {
    get(name) {
      const find = finders.get(name)
      if (find !== undefined) return find(source)
      if (name.startsWith('s3:x-amz-')) return listed(sent(source, name.slice('s3:'.length)))
      if (name.startsWith(requestTag)) return listed(requestTags(source)?.get(name.slice(requestTag.length)))
      return undefined
    },
  }
}

const listed = (value: string | undefined): readonly string[] | undefined => (value === undefined ? undefined : [value])

/** Presigned requests may carry in their query what others have in headers. */
const sent = ({ headers, query }: ConditionSource, name: string): string | undefined => headers[name] ?? query.get(name)

type Find = (source: ConditionSource) => readonly string[] | undefined

const finders: ReadonlyMap<string, Find> = new Map<string, Find>(
  Object.entries<Find>({
    'aws:sourceip': ({ remoteAddress }) => [unmapped(remoteAddress)],
    'aws:securetransport': ({ isSecure }) => [String(isSecure)],
    'aws:referer': ({ headers }) => listed(headers['referer']),
    'aws:useragent': ({ headers }) => listed(headers['user-agent']),
    's3:prefix': ({ query }) => listed(query.get('prefix')),
    's3:delimiter': ({ query }) => listed(query.get('delimiter')),
    's3:max-keys': ({ query }) => listed(query.get('max-keys')),
    's3:authtype': (source) => listed(authentication(source)?.type),
    's3:signatureversion': (source) => listed(authentication(source)?.version),
    's3:x-amz-copy-source': copySource,
    's3:requestobjecttagkeys': (source) => {
      const tags = requestTags(source)
      return tags === undefined ? undefined : [...tags.keys()]
    },
    's3:if-match': ({ headers }) => listed(headers['if-match']),
    's3:if-none-match': ({ headers }) => listed(headers['if-none-match']),
    's3:object-lock-mode': (source) => listed(sent(source, 'x-amz-object-lock-mode')),
    's3:object-lock-retain-until-date': (source) => listed(sent(source, 'x-amz-object-lock-retain-until-date')),
    's3:object-lock-legal-hold': (source) => listed(sent(source, 'x-amz-object-lock-legal-hold')),
  }),
)

/** An IPv4 client of a socket for both families. */
function unmapped(address: string): string {
  const inner = address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address
  return isIPv4(inner) ? inner : address
}

function authentication({ headers, query }: ConditionSource): { type: string; version: string } | undefined {
  const header = headers['authorization']
  if (header !== undefined)
    return { type: 'REST-HEADER', version: header.startsWith('AWS4-') ? 'AWS4-HMAC-SHA256' : 'AWS' }
  if (query.has('X-Amz-Signature')) return { type: 'REST-QUERY-STRING', version: 'AWS4-HMAC-SHA256' }
  if (query.has('Signature')) return { type: 'REST-QUERY-STRING', version: 'AWS' }
  return headers['content-type']?.startsWith('multipart/form-data') === true
    ? { type: 'POST', version: 'AWS4-HMAC-SHA256' }
    : undefined
}

/** With and without the slash in front: policies are written either way. */
function copySource(source: ConditionSource): readonly string[] | undefined {
  const text = sent(source, 'x-amz-copy-source')
  if (text === undefined) return undefined
  const { bucket, key } = parseCopySource(text).name
  return [`${bucket}/${key}`, `/${bucket}/${key}`]
}

function requestTags(source: ConditionSource): ReadonlyMap<string, string> | undefined {
  const text = sent(source, 'x-amz-tagging')
  return text === undefined ? undefined : parseTaggingHeader(text)
}
