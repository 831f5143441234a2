/**
 * The canonical forms of a request's path and query, for signing: decoded, then encoded again as RFC 3986 has it, once (S3 alone
 * of AWS's services does not encode twice). https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 *
 * Q1  what is signed and what is carried out agree: a query's `+` is a space in both, and a path's is a plus in both.
 */
import { Fault } from '#src/errors.ts'

const slash = 0x2f
const percent = 0x25
const plus = 0x2b

/** 1 for A–Z a–z 0–9 - . _ ~ */
const unreserved = new Uint8Array(256)
/** 0–15, or 255. */
const hexValue = new Uint8Array(256).fill(255)
for (const each of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~')
  unreserved[each.charCodeAt(0)] = 1
for (let value = 0; value < 16; value++) {
  hexValue[value.toString(16).charCodeAt(0)] = value
  hexValue[value.toString(16).toUpperCase().charCodeAt(0)] = value
}

const encoded = Array.from({ length: 256 }, (_, byte) =>
  unreserved[byte] === 1 ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
)

function escapedByte(text: string, at: number): number {
  const high = hexValue[text.charCodeAt(at + 1)] ?? 255
  const low = hexValue[text.charCodeAt(at + 2)] ?? 255
  if (high === 255 || low === 255) throw new Fault('InvalidURI')
  return high * 16 + low
}

/** `text` from `start` on, decoded and encoded again; what stands before is taken as it is. */
function recode(text: string, start: number, isPath: boolean): string {
  let result = text.slice(0, start)
  for (let at = start; at < text.length; at++) {
    let byte = text.charCodeAt(at)
    if (byte > 255) throw new Fault('InvalidURI')
    if (byte === percent) {
      byte = escapedByte(text, at)
      at += 2
    } else if (byte === plus && !isPath) {
      byte = 0x20
    }
    result += byte === slash && isPath ? '/' : encoded[byte]
  }
  return result
}

export function canonicalPath(path: string): string {
  for (let at = 0; at < path.length; at++) {
    const code = path.charCodeAt(at)
    if (unreserved[code] !== 1 && code !== slash) return recode(path, at, true)
  }
  return path
}

function canonicalText(text: string): string {
  for (let at = 0; at < text.length; at++) {
    if (unreserved[text.charCodeAt(at)] !== 1) return recode(text, at, false)
  }
  return text
}

/** A query parameter; name and value in canonical encoding. */
export interface QueryPair {
  readonly name: string
  readonly value: string
  /** `acl` and `acl=` differ to signatures of version 2. */
  readonly hasValue: boolean
}

const none: readonly QueryPair[] = []

export function queryPairs(query: string): readonly QueryPair[] {
  if (query === '') return none
  const pairs: QueryPair[] = []
  for (let start = 0; start <= query.length; ) {
    const found = query.indexOf('&', start)
    const end = found < 0 ? query.length : found
    const equals = query.indexOf('=', start)
    if (end > start) {
      const hasValue = equals >= 0 && equals < end
      pairs.push({
        name: canonicalText(query.slice(start, hasValue ? equals : end)),
        value: hasValue ? canonicalText(query.slice(equals + 1, end)) : '',
        hasValue,
      })
    }
    start = end + 1
  }
  return pairs
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** Sorted by name, then value; without the pairs of the name `except`. */
export function canonicalQuery(pairs: readonly QueryPair[], except?: string): string {
  if (pairs.length === 0) return ''
  const chosen = pairs.filter((each) => each.name !== except)
  chosen.sort((a, b) => compare(a.name, b.name) || compare(a.value, b.value))
  return chosen.map(({ name, value }) => `${name}=${value}`).join('&')
}

/** The decoded value of the first pair of that name (which must need no encoding). */
export function queryValue(pairs: readonly QueryPair[], name: string): string | undefined {
  const found = pairs.find((each) => each.name === name)
  return found === undefined ? undefined : decoded(found.value)
}

export function decoded(canonical: string): string {
  try {
    return decodeURIComponent(canonical)
  } catch {
    throw new Fault('InvalidURI')
  }
}
