import { objectTagsMax } from '#src/model/tags.ts'
import { parseTagging } from './tagging-document.ts'

/** Form fields that stand for the header of the same name. */
const sameName = new Set([
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-md5',
  'content-type',
  'expires',
  'x-tigris-regions',
])
/** Of x-amz-*, those that sign the form and say nothing of the object. */
const signing = new Set([
  'x-amz-algorithm',
  'x-amz-credential',
  'x-amz-date',
  'x-amz-signature',
  'x-amz-security-token',
])

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
const notInHeaders = /[\0-\x08\x0a-\x1f\x7f]/

/**
 * The headers of the PutObject that a form makes, so that one set of codecs reads both.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
 */
export function formHeaders(fields: ReadonlyMap<string, string>): Readonly<Record<string, string>> {
  const headers: Record<string, string> = Object.create(null)
  for (const [name, value] of fields) {
    if (name === 'acl') headers['x-amz-acl'] = value
    else if (name === 'tagging') headers['x-amz-tagging'] = taggingHeader(value)
    else if (sameName.has(name) || (name.startsWith('x-amz-') && !signing.has(name))) headers[name] = headerBytes(value)
  }
  return headers
}

/** Node reads header bytes as Latin-1; a form's text is UTF-8. Line breaks, which no header can hold, become spaces. */
function headerBytes(value: string): string {
  const plain = notInHeaders.test(value) ? value.replace(new RegExp(notInHeaders, 'g'), ' ') : value
  return Buffer.from(plain, 'utf8').toString('latin1').trim()
}

/** A form has a document where headers have a query. */
function taggingHeader(document: string): string {
  const tags = parseTagging(Buffer.from(document), objectTagsMax)
  return [...tags].map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`).join('&')
}
