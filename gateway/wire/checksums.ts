import type { RequestBody } from '#gateway/operations/operation.ts'
import { type Child, el } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import type { Checksum, ChecksumAlgorithm, ExpectedDigests } from '#src/model/checksum.ts'
import { isCrcAlgorithm } from '#src/model/crc-combine.ts'
import { checksumAlgorithms, isDigestValue } from '#src/model/digests.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html */
type Headers = Readonly<Record<string, string | undefined>>

const headerOf = (algorithm: ChecksumAlgorithm): string => `x-amz-checksum-${algorithm.toLowerCase()}`
const headerNames = checksumAlgorithms.map((algorithm) => [algorithm, headerOf(algorithm)] as const)

export function parseAlgorithm(name: string, text: string): ChecksumAlgorithm {
  const algorithm = checksumAlgorithms.find((each) => each === text.toUpperCase())
  if (algorithm !== undefined) return algorithm
  throw new Fault('InvalidRequest', {
    message: `Value for ${name} header is invalid.`,
    ArgumentName: name,
    ArgumentValue: text,
  })
}

/** Content-MD5 and the checksum, from headers or announced for the trailer, of a request's body. */
export function decodeDigests(headers: Headers, body: RequestBody): ExpectedDigests {
  const md5 = decodeContentMd5(headers['content-md5'])
  const checksum = decodeBodyChecksum(headers, body)
  return { ...(md5 !== undefined && { md5 }), ...(checksum !== undefined && { checksum }) }
}

export function decodeContentMd5(text: string | undefined): string | undefined {
  if (text === undefined || isDigestValue('MD5', text)) return text
  throw new Fault('InvalidDigest', { 'Content-MD5': text })
}

function decodeBodyChecksum(headers: Headers, body: RequestBody): ExpectedDigests['checksum'] {
  const given = decodeChecksumHeader(headers)
  const trailing = decodeTrailer(headers['x-amz-trailer'])
  if (given !== undefined && trailing !== undefined) throw severalChecksums()
  checkNamedAlgorithm(headers['x-amz-sdk-checksum-algorithm'], given?.algorithm ?? trailing)
  if (given !== undefined) {
    // The wrong length is a wrong checksum: it cannot be that of the body.
    if (!isDigestValue(given.algorithm, given.value)) throw new Fault('BadDigest', invalidValue(given.algorithm))
    return { algorithm: given.algorithm, value: () => given.value }
  }
  if (trailing === undefined) return undefined
  return { algorithm: trailing, value: () => trailingValue(trailing, body) }
}

function trailingValue(algorithm: ChecksumAlgorithm, body: RequestBody): string {
  const value = body.trailers().get(headerOf(algorithm))?.trim()
  // A promised checksum that does not come must not be taken for a body that matches it.
  if (value === undefined) throw new Fault('MalformedTrailerError')
  if (!isDigestValue(algorithm, value)) throw new Fault('InvalidRequest', invalidValue(algorithm))
  return value
}

const invalidValue = (algorithm: ChecksumAlgorithm): { message: string } => ({
  message: `Value for ${headerOf(algorithm)} header is invalid.`,
})

const severalChecksums = (): Fault =>
  new Fault('InvalidRequest', {
    message: 'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
  })

/** The value as it came: composite ones have a number of parts behind them. */
export function decodeChecksumHeader(headers: Headers): Pick<Checksum, 'algorithm' | 'value'> | undefined {
  let found: Pick<Checksum, 'algorithm' | 'value'> | undefined
  for (const [algorithm, name] of headerNames) {
    const value = headers[name]
    if (value === undefined) continue
    if (found !== undefined) throw severalChecksums()
    found = { algorithm, value }
  }
  return found
}

/** x-amz-trailer may announce other trailers too. */
function decodeTrailer(text: string | undefined): ChecksumAlgorithm | undefined {
  if (text === undefined) return undefined
  const names = text.split(',').map((name) => name.trim().toLowerCase())
  const algorithms = headerNames.filter(([, name]) => names.includes(name))
  if (algorithms.length > 1) throw severalChecksums()
  const first = algorithms[0]
  if (first === undefined && names.some((name) => name.startsWith('x-amz-checksum-'))) {
    throw new Fault('InvalidRequest', { message: 'The value specified in the x-amz-trailer header is not supported' })
  }
  return first?.[0]
}

function checkNamedAlgorithm(text: string | undefined, given: ChecksumAlgorithm | undefined): void {
  if (text === undefined) return
  const name = 'x-amz-sdk-checksum-algorithm'
  const algorithm = parseAlgorithm(name, text)
  if (given === undefined) {
    throw new Fault('InvalidRequest', {
      message: `${name} specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.`,
    })
  }
  if (given !== algorithm) throw new Fault('InvalidRequest', { message: `Value for ${name} header is invalid.` })
}

/** How an upload in parts will be checked: x-amz-checksum-algorithm and -type, with S3's table of what goes with what. */
export function decodeUploadChecksum(
  headers: Headers,
): { readonly algorithm: ChecksumAlgorithm; readonly type: Checksum['type'] } | undefined {
  const name = 'x-amz-checksum-algorithm'
  const text = headers[name]
  const type = decodeChecksumType(headers['x-amz-checksum-type'])
  if (text === undefined) {
    if (type === undefined) return undefined
    throw new Fault('InvalidRequest', {
      message: 'The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.',
    })
  }
  const algorithm = parseAlgorithm(name, text)
  const chosen = type ?? (algorithm === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE')
  const isPossible = chosen === 'COMPOSITE' ? algorithm !== 'CRC64NVME' : isCrcAlgorithm(algorithm)
  if (isPossible) return { algorithm, type: chosen }
  throw new Fault('InvalidRequest', {
    message: `The ${chosen} checksum type cannot be used with the ${algorithm.toLowerCase()} checksum algorithm.`,
  })
}

export function decodeChecksumType(text: string | undefined): Checksum['type'] | undefined {
  if (text === undefined || text === 'COMPOSITE' || text === 'FULL_OBJECT') return text
  throw new Fault('InvalidRequest', { message: 'Value for x-amz-checksum-type header is invalid.' })
}

export function encodeChecksumHeaders(checksum: Checksum | undefined, to: Record<string, string>): void {
  if (checksum === undefined) return
  to[headerOf(checksum.algorithm)] = checksum.value
  to['x-amz-checksum-type'] = checksum.type
}

/** Of a part just uploaded: only the value, for the type is the upload's. */
export function encodePartChecksum(checksum: Checksum | undefined, to: Record<string, string>): void {
  if (checksum !== undefined) to[headerOf(checksum.algorithm)] = checksum.value
}

/** `<ChecksumCRC32>…` and its type, as children of a document's element. */
export function checksumElements(checksum: Checksum | undefined): readonly Child[] {
  if (checksum === undefined) return []
  return [el(`Checksum${checksum.algorithm}`, checksum.value), el('ChecksumType', checksum.type)]
}

/** Of a part: its type is the upload's, and is not repeated. */
export const partChecksumElement = (checksum: Checksum | undefined): Child =>
  checksum === undefined ? undefined : el(`Checksum${checksum.algorithm}`, checksum.value)
