import { Fault } from '#src/errors.ts'
import type { ContentHeaders } from '#src/model/version.ts'

type Headers = Readonly<Record<string, string | undefined>>

/** What S3 says of an object whose writer did not. */
const contentTypeDefault = 'binary/octet-stream'

/**
 * The headers that are stored and returned as they are: bytes above ASCII included, since Node reads and writes header values
 * as Latin-1.
 */
export function decodeContentHeaders(headers: Headers): ContentHeaders {
  const contentEncoding = withoutAwsChunked(headers['content-encoding'])
  return {
    ...given('contentType', headers['content-type']),
    ...given('cacheControl', headers['cache-control']),
    ...given('contentDisposition', headers['content-disposition']),
    ...given('contentEncoding', contentEncoding),
    ...given('contentLanguage', headers['content-language']),
    ...given('expires', headers['expires']),
    ...given('websiteRedirectLocation', redirectLocation(headers['x-amz-website-redirect-location'])),
  }
}

const given = (name: keyof ContentHeaders, value: string | undefined): ContentHeaders =>
  value === undefined || value === '' ? {} : { [name]: value }

/** `aws-chunked` describes the request's body, not the object. https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html */
function withoutAwsChunked(text: string | undefined): string | undefined {
  if (text === undefined || !/aws-chunked/i.test(text)) return text
  const rest = text.split(',').filter((coding) => coding.trim().toLowerCase() !== 'aws-chunked')
  return rest.join(',').trim()
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/how-to-page-redirect.html */
function redirectLocation(text: string | undefined): string | undefined {
  if (text === undefined || text === '' || /^(\/|https?:\/\/)/.test(text)) return text
  throw new Fault('InvalidRedirectLocation', {
    message: "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.",
  })
}

/** The overrides of a signed GET or HEAD. https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html */
export type Overrides = Omit<ContentHeaders, 'websiteRedirectLocation'>

const overrideNames: readonly (readonly [string, keyof Overrides])[] = [
  ['response-content-type', 'contentType'],
  ['response-content-language', 'contentLanguage'],
  ['response-expires', 'expires'],
  ['response-cache-control', 'cacheControl'],
  ['response-content-disposition', 'contentDisposition'],
  ['response-content-encoding', 'contentEncoding'],
]

export function decodeOverrides(query: ReadonlyMap<string, string>, isAnonymous: boolean): Overrides {
  if (query.size === 0) return {}
  const overrides: { -readonly [Name in keyof Overrides]: Overrides[Name] } = {}
  for (const [name, field] of overrideNames) {
    const value = query.get(name)
    if (value === undefined) continue
    if (isAnonymous) {
      throw new Fault('InvalidRequest', {
        message: 'Request specific response headers cannot be used for anonymous GET requests.',
      })
    }
    overrides[field] = checkedHeader(name, value)
  }
  return overrides
}

/** Line breaks would let the URL write headers of its own (T17), and Node cannot send what Latin-1 lacks. */
function checkedHeader(name: string, value: string): string {
  if (!/[^\t\x20-\x7e\xa0-\xff]/.test(value)) return value
  throw new Fault('InvalidArgument', {
    message: 'Header value cannot be represented using ISO-8859-1.',
    ArgumentName: name,
  })
}

export function encodeContentHeaders(headers: ContentHeaders, to: Record<string, string>): void {
  to['content-type'] = headers.contentType ?? contentTypeDefault
  if (headers.cacheControl !== undefined) to['cache-control'] = headers.cacheControl
  if (headers.contentDisposition !== undefined) to['content-disposition'] = headers.contentDisposition
  if (headers.contentEncoding !== undefined) to['content-encoding'] = headers.contentEncoding
  if (headers.contentLanguage !== undefined) to['content-language'] = headers.contentLanguage
  if (headers.expires !== undefined) to['expires'] = headers.expires
  if (headers.websiteRedirectLocation !== undefined) {
    to['x-amz-website-redirect-location'] = headers.websiteRedirectLocation
  }
}
