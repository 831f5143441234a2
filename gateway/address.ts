import { isIPv6 } from 'node:net'
import { Fault } from '#src/errors.ts'
import type { Scope } from './operations/operation.ts'

/**
 * What a request names, read from its target and its Host header.
 *
 * A1  the path is decoded exactly once, as UTF-8, strictly; `+`, `//`, `.` and `..` mean themselves.
 * A2  what was signed is the raw path and query, which are handed on as they came.
 * A3  `tenant:bucket`, as ceph has it, names a bucket of that tenant, and `:bucket` one of the tenant without a name; no
 *     bucket's own name has a colon.
 */
export interface Address {
  readonly scope: Scope
  readonly bucket: string
  /** Whose the bucket has to be; absent: anybody's. */
  readonly tenant?: string
  readonly key: string
  readonly query: ReadonlyMap<string, string>
  readonly rawPath: string
  readonly rawQuery: string
  /** The host asked for, without the bucket, with the port. */
  readonly host: string
  /** The bucket that the Host header names, in virtual-hosted style. */
  readonly hostBucket: string | undefined
  /** Whether the host is that of the bucket's website, which speaks to browsers and not S3's language. */
  readonly isWebsite?: boolean
  /** Whether the host is one of content alone: objects are read there, and nothing else. */
  readonly isContent?: boolean
}

const invalid = (message: string): Fault => new Fault('InvalidURI', { message })

/** Decodes percent escapes as strict UTF-8. */
function decode(text: string): string {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    throw invalid("Couldn't parse the specified URI.")
  }
}

const noQuery: ReadonlyMap<string, string> = new Map()

/** In a query `+` is a space, as forms write it; the first of equal names counts. */
export function parseQuery(rawQuery: string): ReadonlyMap<string, string> {
  if (rawQuery === '') return noQuery
  const query = new Map<string, string>()
  for (const pair of rawQuery.split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = decode((equals < 0 ? pair : pair.slice(0, equals)).replaceAll('+', ' '))
    if (query.has(name)) continue
    query.set(name, equals < 0 ? '' : decode(pair.slice(equals + 1).replaceAll('+', ' ')))
  }
  return query
}

const absolute = /^https?:\/\/([^/?]*)/i

/**
 * The origin form of a request target. An absolute one (`GET http://host/path`, as to a proxy) must name the same host as
 * the Host header, or a proxy before us and we could see different requests.
 */
function originForm(target: string, host: string): string {
  if (target.startsWith('/')) return target
  const match = absolute.exec(target)
  if (match === null || match[1]?.toLowerCase() !== host.toLowerCase()) {
    throw invalid("Couldn't parse the specified URI.")
  }
  const rest = target.slice(match[0].length)
  return rest.startsWith('/') ? rest : `/${rest}`
}

function withoutPort(host: string): string {
  if (host.startsWith('[')) return host.slice(0, host.indexOf(']') + 1)
  const colon = host.lastIndexOf(':')
  return colon < 0 ? host : host.slice(0, colon)
}

const ipv4 = /^\d{1,3}(?:\.\d{1,3}){3}$/

const isAddress = (hostname: string): boolean =>
  ipv4.test(hostname) || (hostname.startsWith('[') && isIPv6(hostname.slice(1, -1)))

interface HostBucket {
  readonly bucket: string
  readonly isWebsite: boolean
  readonly isContent: boolean
}

/** Finds the bucket that a Host header names. `localhost` is always a base of the API; the longest base counts. */
function hostBuckets(
  domains: readonly string[],
  websiteDomains: readonly string[],
  contentDomains: readonly string[],
): (host: string) => HostBucket | undefined {
  const ofApi = new Set([...domains, 'localhost'].map((each) => `.${each.toLowerCase()}`))
  const ofWebsites = new Set(websiteDomains.map((each) => `.${each.toLowerCase()}`))
  const ofContent = new Set(contentDomains.map((each) => `.${each.toLowerCase()}`))
  const bases = [...new Set([...ofWebsites, ...ofContent, ...ofApi])].sort((a, b) => b.length - a.length)
  return (host) => {
    const hostname = withoutPort(host).toLowerCase()
    // Most hosts have no bucket, and are seen not to have one without comparing them to each base.
    if (!hostname.includes('.') || isAddress(hostname) || ofApi.has(`.${hostname}`)) return undefined
    const base = bases.find((each) => hostname.endsWith(each))
    if (base === undefined || hostname.length === base.length) return undefined
    const bucket = hostname.slice(0, -base.length)
    return { bucket, isWebsite: ofWebsites.has(base), isContent: ofContent.has(base) }
  }
}

function pathNames(path: string, hostBucket: string | undefined): { bucket: string; key: string } {
  if (hostBucket !== undefined) return { bucket: hostBucket, key: decode(path.slice(1)) }
  const slash = path.indexOf('/', 1)
  if (slash < 0) return { bucket: decode(path.slice(1)), key: '' }
  return { bucket: decode(path.slice(1, slash)), key: decode(path.slice(slash + 1)) }
}

/** In a path only: a host name has no colon but before its port. */
function tenantOf(name: string): { readonly tenant?: string; readonly bucket: string } {
  const colon = name.indexOf(':')
  return colon < 0 ? { bucket: name } : { tenant: name.slice(0, colon), bucket: name.slice(colon + 1) }
}

/** What a path names; a key, or a tenant, without a bucket is nothing. */
function namesOf(path: string, hostBucket: string | undefined) {
  const { bucket: named, key } = pathNames(path, hostBucket)
  const { bucket, ...tenant } = tenantOf(named)
  if (bucket === '' && (key !== '' || tenant.tenant !== undefined)) {
    throw new Fault('InvalidBucketName', { BucketName: named })
  }
  return { bucket, ...tenant, key }
}

/** Reads addresses under the given base domains. */
export function addressing(
  domains: readonly string[],
  websiteDomains: readonly string[] = [],
  contentDomains: readonly string[] = [],
): (target: string, host: string) => Address {
  const findBucket = hostBuckets(domains, websiteDomains, contentDomains)
  return (target, host) => {
    // No client may send a fragment; what stands before it would be another object than the signer meant.
    if (target.includes('#')) throw invalid('The request target has a fragment.')
    const origin = originForm(target, host)
    const mark = origin.indexOf('?')
    const rawPath = mark < 0 ? origin : origin.slice(0, mark)
    const rawQuery = mark < 0 ? '' : origin.slice(mark + 1)
    const found = findBucket(host)
    const hostBucket = found?.bucket
    const names = namesOf(rawPath, hostBucket)
    const { bucket, key } = names
    const scope = key !== '' ? 'object' : bucket !== '' ? 'bucket' : 'service'
    const bare = hostBucket === undefined ? host : host.slice(hostBucket.length + 1)
    // A page's query is its own affair, and need not be one that S3 could read.
    const isWebsite = found?.isWebsite === true
    const query = isWebsite ? noQuery : parseQuery(rawQuery)
    const address = { scope, ...names, query, rawPath, rawQuery, host: bare, hostBucket } as const
    if (found?.isContent === true) return { ...address, isContent: true }
    return isWebsite ? { ...address, isWebsite } : address
  }
}

/** The same, at a host that turned out to be a bucket's own. */
export function atOwnHost(address: Address, bucket: string): Address {
  const { tenant: _tenant, ...rest } = address
  const key = decode(address.rawPath.slice(1))
  return { ...rest, scope: key === '' ? 'bucket' : 'object', bucket, key, hostBucket: bucket, isContent: true }
}

/** The host name that may be a bucket's own: not an address, and none that we know. */
export function ownHostOf({ host, hostBucket }: Address): string | undefined {
  if (hostBucket !== undefined) return undefined
  const hostname = withoutPort(host).toLowerCase()
  return hostname.includes('.') && !isAddress(hostname) ? hostname : undefined
}
