/**
 * A bucket as a static website: which object a path is, and where rules send it instead.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/EnableWebsiteHosting.html
 */
export type Website = RedirectingWebsite | PagesWebsite

/** Every request goes to another host. */
export interface RedirectingWebsite {
  readonly kind: 'redirecting'
  readonly hostName: string
  readonly protocol?: Protocol
}

export interface PagesWebsite {
  readonly kind: 'pages'
  /** What the key of a folder ends in: `index.html`. */
  readonly index: string
  /** Key of the object that is shown in place of an error. */
  readonly error?: string
  /** The first that applies counts. */
  readonly rules: readonly RoutingRule[]
}

export type Protocol = 'http' | 'https'

export interface RoutingRule {
  readonly keyPrefix?: string
  /** Status, 400 to 599, that the request would otherwise be answered with. */
  readonly errorStatus?: number
  readonly redirect: Redirect
}

export interface Redirect {
  readonly protocol?: Protocol
  readonly hostName?: string
  /** Instead of the whole key, or of the rule's prefix. */
  readonly replacement?: { readonly of: 'key' | 'prefix'; readonly by: string }
  /** 301 to 399. */
  readonly status?: number
}

/** The rule for a key that is about to be looked for, or, with a status, for the answer that this came to. */
export const ruleFor = (
  { rules }: PagesWebsite,
  key: string,
  errorStatus: number | undefined,
): RoutingRule | undefined =>
  rules.find((rule) => rule.errorStatus === errorStatus && key.startsWith(rule.keyPrefix ?? ''))

/** Where a request was sent to, without the path. */
export interface Origin {
  readonly protocol: Protocol
  /** With the port, where it has one. */
  readonly host: string
}

/** The URL that a rule sends a key to. */
export function redirectLocation({ keyPrefix = '', redirect }: RoutingRule, key: string, origin: Origin): string {
  const { protocol = origin.protocol, hostName = origin.host, replacement } = redirect
  const base = `${protocol}://${hostName}/`
  if (replacement === undefined) return base + encodePath(key)
  // As it was written: it may hold a fragment or a query of its own.
  const written = encodeStrange(replacement.by)
  return replacement.of === 'key' ? base + written : base + written + encodePath(key.slice(keyPrefix.length))
}

export const redirectAllLocation = ({ hostName, protocol }: RedirectingWebsite, key: string, origin: Origin): string =>
  `${protocol ?? origin.protocol}://${hostName}/${encodePath(key)}`

/** The key that is read for a path: a folder's is that of its index. */
export const pageKey = ({ index }: PagesWebsite, key: string): string =>
  key === '' || key.endsWith('/') ? key + index : key

export const encodePath = (key: string): string => key.split('/').map(encodeURIComponent).join('/')

/** Leaves alone what a URL may hold, so that a header can carry the rest. */
export const encodeStrange = (text: string): string => text.replace(/[^\x21-\x7e]/gu, encodeURIComponent)
