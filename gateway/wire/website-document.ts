import { all, malformed, only, optionalChild, optionalText, text, type XmlNode } from '#gateway/xml/parse.ts'
import { type Child, el, type Xml } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import type { PagesWebsite, Protocol, Redirect, RoutingRule, Website } from '#src/model/website.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketWebsite.html */
const rulesMax = 50

const refused = (message: string): Fault => new Fault('InvalidRequest', { message })

const badArgument = (name: string, value: string, message: string): Fault =>
  new Fault('InvalidArgument', { message, ArgumentName: name, ArgumentValue: value })

export function parseWebsite(root: XmlNode): Website {
  only(root, 'IndexDocument', 'ErrorDocument', 'RedirectAllRequestsTo', 'RoutingRules')
  const redirectAll = optionalChild(root, 'RedirectAllRequestsTo')
  if (redirectAll === undefined) return parsePages(root)
  if (root.children.size > 1) {
    throw refused('RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.')
  }
  const protocol = protocolOf(redirectAll)
  return { kind: 'redirecting', hostName: hostNameOf(text(redirectAll, 'HostName')), ...protocol }
}

function parsePages(root: XmlNode): PagesWebsite {
  const index = optionalChild(root, 'IndexDocument')
  if (index === undefined) {
    throw badArgument(
      'IndexDocument',
      'null',
      'A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty',
    )
  }
  const suffix = text(index, 'Suffix')
  if (suffix === '' || suffix.includes('/')) {
    throw badArgument('IndexDocument', suffix, 'The IndexDocument Suffix is not well formed')
  }
  const error = optionalChild(root, 'ErrorDocument')
  const key = error === undefined ? undefined : text(error, 'Key')
  if (key === '') throw badArgument('ErrorDocument', '', 'The ErrorDocument Key is not well formed')
  const written = optionalChild(root, 'RoutingRules')
  const rules = written === undefined ? [] : all(written, 'RoutingRule').map(parseRule)
  if (written !== undefined && rules.length === 0) throw malformed()
  if (rules.length > rulesMax) {
    throw refused(
      `${rules.length} routing rules provided, the number of routing rules in a website configuration is limited to ${rulesMax}.`,
    )
  }
  return { kind: 'pages', index: suffix, rules, ...(key !== undefined && { error: key }) }
}

function parseRule(node: XmlNode): RoutingRule {
  only(node, 'Condition', 'Redirect')
  const redirect = optionalChild(node, 'Redirect')
  if (redirect === undefined) throw malformed()
  const condition = optionalChild(node, 'Condition')
  return { ...(condition !== undefined && parseCondition(condition)), redirect: parseRedirect(redirect) }
}

function parseCondition(node: XmlNode): Pick<RoutingRule, 'keyPrefix' | 'errorStatus'> {
  only(node, 'KeyPrefixEquals', 'HttpErrorCodeReturnedEquals')
  const keyPrefix = optionalText(node, 'KeyPrefixEquals')
  const status = optionalText(node, 'HttpErrorCodeReturnedEquals')
  if (keyPrefix === undefined && status === undefined) {
    throw refused(
      "Condition cannot be empty. To redirect all requests without a condition, the condition element shouldn't be present.",
    )
  }
  if (status !== undefined && !/^[45]\d\d$/.test(status)) {
    throw refused(`The provided HTTP error code (${status}) is not valid. Valid codes are 4XX or 5XX.`)
  }
  return {
    ...(keyPrefix !== undefined && { keyPrefix }),
    ...(status !== undefined && { errorStatus: Number(status) }),
  }
}

function parseRedirect(node: XmlNode): Redirect {
  only(node, 'HostName', 'HttpRedirectCode', 'Protocol', 'ReplaceKeyPrefixWith', 'ReplaceKeyWith')
  if (node.children.size === 0) throw malformed()
  const hostName = optionalText(node, 'HostName')
  const status = optionalText(node, 'HttpRedirectCode')
  const prefix = optionalText(node, 'ReplaceKeyPrefixWith')
  const key = optionalText(node, 'ReplaceKeyWith')
  if (prefix !== undefined && key !== undefined) {
    throw refused('You can only define ReplaceKeyPrefix or ReplaceKey but not both.')
  }
  if (status !== undefined && (!/^3\d\d$/.test(status) || status === '300')) {
    throw refused(`The provided HTTP redirect code (${status}) is not valid. Valid codes are 3XX except 300.`)
  }
  return {
    ...protocolOf(node),
    ...(hostName !== undefined && { hostName: hostNameOf(hostName) }),
    ...(prefix !== undefined && { replacement: { of: 'prefix', by: prefix } }),
    ...(key !== undefined && { replacement: { of: 'key', by: key } }),
    ...(status !== undefined && { status: Number(status) }),
  }
}

/** It becomes part of a header, and of where a browser goes. */
function hostNameOf(name: string): string {
  if (/^[\x21-\x7e]+$/.test(name)) return name
  throw badArgument('HostName', name, 'The HostName is not well formed')
}

function protocolOf(node: XmlNode): { readonly protocol?: Protocol } {
  const protocol = optionalText(node, 'Protocol')
  if (protocol === undefined) return {}
  if (protocol === 'http' || protocol === 'https') return { protocol }
  throw refused(
    'Invalid protocol, protocol can be http or https. If not defined the protocol will be selected automatically.',
  )
}

const optional = (name: string, value: string | number | undefined): Child =>
  value === undefined ? undefined : el(name, value)

export function websiteElement(website: Website): Xml {
  if (website.kind === 'redirecting') {
    const { hostName, protocol } = website
    return configuration(el('RedirectAllRequestsTo', el('HostName', hostName), optional('Protocol', protocol)))
  }
  const { index, error, rules } = website
  return configuration(
    el('IndexDocument', el('Suffix', index)),
    error === undefined ? undefined : el('ErrorDocument', el('Key', error)),
    rules.length === 0 ? undefined : el('RoutingRules', ...rules.map(ruleElement)),
  )
}

const configuration = (...children: readonly Child[]): Xml => el('WebsiteConfiguration', ...children)

function ruleElement({ keyPrefix, errorStatus, redirect }: RoutingRule): Xml {
  const { protocol, hostName, replacement, status } = redirect
  const hasCondition = keyPrefix !== undefined || errorStatus !== undefined
  const conditions = [optional('HttpErrorCodeReturnedEquals', errorStatus), optional('KeyPrefixEquals', keyPrefix)]
  return el(
    'RoutingRule',
    hasCondition ? el('Condition', ...conditions) : undefined,
    el(
      'Redirect',
      optional('Protocol', protocol),
      optional('HostName', hostName),
      replacement === undefined
        ? undefined
        : el(replacement.of === 'key' ? 'ReplaceKeyWith' : 'ReplaceKeyPrefixWith', replacement.by),
      optional('HttpRedirectCode', status),
    ),
  )
}
