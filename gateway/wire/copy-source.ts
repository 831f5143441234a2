import { Fault } from '#src/errors.ts'
import { checkBucketName, checkKey, type ObjectName } from '#src/model/names.ts'

export interface CopySource {
  readonly name: ObjectName
  readonly versionId?: string
}

/**
 * `x-amz-copy-source: /bucket/key?versionId=id`, percent-encoded; the first slash may be missing, and the one between bucket
 * and key may be encoded, as some clients encode the whole. A bare `+` is a space, as S3 reads it (and s5cmd writes it): a plus is
 * encoded. The key may hold a question mark only encoded. https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
 */
export function parseCopySource(text: string): CopySource {
  const cut = /\?versionId=/.exec(text)?.index ?? text.length
  const path = decode(text.slice(0, cut), text).replace(/^\//, '')
  const slash = path.indexOf('/')
  if (slash <= 0 || slash === path.length - 1) throw invalid(text)
  const name = { bucket: path.slice(0, slash), key: path.slice(slash + 1) }
  checkBucketName(name.bucket)
  checkKey(name.key)
  if (cut === text.length) return { name }
  const versionId = decode(text.slice(cut + '?versionId='.length), text)
  if (versionId === '')
    throw new Fault('InvalidArgument', { message: 'Version id cannot be the empty string', ArgumentName: 'versionId' })
  return { name, versionId }
}

function decode(text: string, whole: string): string {
  try {
    // Clients that do not encode send raw UTF-8, which Node read as Latin-1.
    const utf8 = /[\x80-\xff]/.test(text) ? strictUtf8.decode(Buffer.from(text, 'latin1')) : text
    const decoded = decodeURIComponent(utf8.replaceAll('+', ' '))
    if (decoded.isWellFormed()) return decoded
  } catch {
    // Falls through: neither percent-encoding nor UTF-8.
  }
  throw invalid(whole)
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function invalid(text: string): Fault {
  return new Fault('InvalidArgument', {
    message: 'Copy Source must mention the source bucket and key: sourcebucket/sourcekey',
    ArgumentName: 'x-amz-copy-source',
    ArgumentValue: text,
  })
}
