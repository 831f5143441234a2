import type { S3Request } from '#gateway/operations/operation.ts'
import { Fault } from '#src/errors.ts'
import { integerArgument } from './integer.ts'

/** S3 shows at most so many entries on a page, however many are asked for. */
const pageMax = 1000

/** What all listings have in common. */
export interface ListingQuery {
  readonly prefix: string
  readonly delimiter: string
  readonly limit: number
  /** How keys are written in the answer. */
  readonly encoding: KeyEncoding
}

export interface KeyEncoding {
  /** Of the EncodingType element; undefined: as they are. */
  readonly type: 'url' | undefined
  readonly encode: (text: string) => string
}

export function listingQuery(query: S3Request['query'], limitName: 'max-keys' | 'max-uploads'): ListingQuery {
  const { prefix = '', delimiter = '' } = Object.fromEntries(query)
  // Ceph's extension: any order will do, so ours does too, but it knows no prefixes then.
  if (delimiter !== '' && query.get('allow-unordered') === 'true') {
    throw new Fault('InvalidArgument', { ArgumentName: 'allow-unordered', ArgumentValue: 'true' })
  }
  return { prefix, delimiter, limit: limitOf(query, limitName), encoding: encodingOf(query) }
}

/** An empty value is as good as none: clients that always write the name send it. */
function limitOf(query: S3Request['query'], name: string): number {
  const text = query.get(name) ?? ''
  return text === '' ? pageMax : Math.min(integerArgument(name, text, 0, 2 ** 31 - 1), pageMax)
}

const plain: KeyEncoding = { type: undefined, encode: (text) => text }
const byUrl: KeyEncoding = { type: 'url', encode: encodeKey }

function encodingOf(query: S3Request['query']): KeyEncoding {
  const type = query.get('encoding-type') ?? ''
  if (type === '') return plain
  if (type.toLowerCase() === 'url') return byUrl
  throw new Fault('InvalidArgument', {
    message: 'Invalid Encoding Method specified in Request',
    ArgumentName: 'encoding-type',
    ArgumentValue: type,
  })
}

/** Of every key: most need no writing at all. */
const unreserved = /^[A-Za-z0-9\-._~/]*$/

/**
 * As percent-encoded UTF-8, but for what RFC 3986 leaves unreserved, and slashes. A space is `%20`, which every decoder reads
 * right, though AWS writes `+`. https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
 */
export function encodeKey(text: string): string {
  if (unreserved.test(text)) return text
  return encodeURIComponent(text.toWellFormed())
    .replaceAll('%2F', '/')
    .replace(/[!'()*]/g, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`)
}
