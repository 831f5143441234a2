import { Fault } from '#src/errors.ts'

/**
 * User metadata. Values are text: headers carry it as ASCII, as RFC 2047 encoded words, or, from many clients, as raw UTF-8
 * or Latin-1 bytes; answers carry what is not ASCII as encoded words only.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
 */
const prefix = 'x-amz-meta-'

/** Of all names and values together, in bytes of UTF-8. */
const sizeMax = 2048

type Headers = Readonly<Record<string, string | undefined>>

export function decodeMetadata(headers: Headers): ReadonlyMap<string, string> {
  const metadata = new Map<string, string>()
  let size = 0
  for (const name in headers) {
    const raw = headers[name]
    if (raw === undefined || !name.startsWith(prefix)) continue
    const value = decodeValue(raw)
    metadata.set(name.slice(prefix.length), value)
    size += Buffer.byteLength(name) - prefix.length + Buffer.byteLength(value)
  }
  if (size > sizeMax) throw new Fault('MetadataTooLarge', { Size: size, MaxSizeAllowed: sizeMax })
  return metadata
}

/** Also says how many entries no header can carry (POST forms may name anything). */
export function encodeMetadata(metadata: ReadonlyMap<string, string>, to: Record<string, string>): void {
  if (metadata.size === 0) return
  let missing = 0
  for (const [name, value] of metadata) {
    if (/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) to[prefix + name] = encodeValue(value)
    else missing += 1
  }
  if (missing > 0) to['x-amz-missing-meta'] = String(missing)
}

const encodedWord = /=\?(utf-8|us-ascii|iso-8859-1)\?([bq])\?([^?]*)\?=/gi
/** White space between encoded words is not part of the text (RFC 2047 §6.2). */
const betweenWords = /(=\?[^?]+\?[bq]\?[^?]*\?=)\s+(?==\?[^?]+\?[bq]\?[^?]*\?=)/gi

function decodeValue(raw: string): string {
  if (raw.includes('=?')) {
    return raw.replace(betweenWords, '$1').replace(encodedWord, (word, charset: string, form: string, text: string) => {
      const bytes = form.toLowerCase() === 'b' ? Buffer.from(text, 'base64') : quotedBytes(text)
      return decodeBytes(bytes, charset.toLowerCase() === 'iso-8859-1') ?? word
    })
  }
  if (isPlain(raw)) return raw
  return decodeBytes(Buffer.from(raw, 'latin1'), false) ?? raw
}

const quotedBytes = (text: string): Buffer =>
  Buffer.from(
    text
      .replace(/_/g, ' ')
      .replace(/=([0-9a-f]{2})/gi, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16))),
    'latin1',
  )

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decodeBytes(bytes: Buffer, isLatin1: boolean): string | undefined {
  if (isLatin1) return bytes.toString('latin1')
  try {
    return strictUtf8.decode(bytes)
  } catch {
    return undefined
  }
}

const isPlain = (text: string): boolean => /^[\t\x20-\x7e]*$/.test(text)

/** Text that reads as an encoded word is encoded too, or it would come back as something else. */
function encodeValue(value: string): string {
  if (isPlain(value) && !value.includes('=?')) return value
  return `=?UTF-8?B?${Buffer.from(value).toString('base64')}?=`
}
