import type { IncomingHttpHeaders } from 'node:http'
import type { RequestBody } from '#gateway/operations/operation.ts'
import { ChunkedDecoder } from '#gateway/wire/aws-chunked.ts'
import { emptyBody, PlainDecoder, StreamedBody } from '#gateway/wire/body.ts'
import { Fault } from '#src/errors.ts'
import { header, type RawRequest } from './request.ts'
import { emptySha256 } from './signature.ts'
import type { ChunkSigning } from './sigv4.ts'

const unsigned = 'UNSIGNED-PAYLOAD'

/** Framings of x-amz-content-sha256. https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html */
const framings: ReadonlyMap<string, { readonly isSigned: boolean; readonly hasTrailers: boolean }> = new Map([
  ['STREAMING-AWS4-HMAC-SHA256-PAYLOAD', { isSigned: true, hasTrailers: false }],
  ['STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER', { isSigned: true, hasTrailers: true }],
  ['STREAMING-UNSIGNED-PAYLOAD-TRAILER', { isSigned: false, hasTrailers: true }],
])

const trailerNames = new Set([
  'x-amz-checksum-crc32',
  'x-amz-checksum-crc32c',
  'x-amz-checksum-crc64nvme',
  'x-amz-checksum-sha1',
  'x-amz-checksum-sha256',
])

/** 15 digits hold more than S3's largest object and stay exact. */
const lengthText = /^\d{1,15}$/
const sha256Text = /^[0-9a-f]{64}$/

function declaredLength(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!lengthText.test(text)) throw new Fault('InvalidArgument', { message: 'A length must be a decimal number' })
  return Number(text)
}

function announcedTrailers(text: string | undefined): readonly string[] {
  if (text === undefined) return []
  const names = text.split(',').map((each) => each.trim().toLowerCase())
  if (names.every((each) => trailerNames.has(each)) && new Set(names).size === names.length) return names
  throw new Fault('InvalidRequest', {
    message: 'The value specified in the x-amz-trailer header is not supported',
  })
}

/**
 * The body that the request says it has. `payload`: what the signature, or else the header x-amz-content-sha256, says of it;
 * `chunks`: how chunks are signed, where the request's own signature allows them to be.
 */
export function bodyOf(
  request: RawRequest,
  payload: string | undefined,
  chunks: ChunkSigning | undefined,
): RequestBody {
  const contentLength = request.headers['content-length']
  const isEmpty =
    contentLength === undefined ? request.headers['transfer-encoding'] === undefined : contentLength === '0'
  if (isEmpty && (payload === undefined || payload === emptySha256 || payload === unsigned)) return emptyBody

  const framing = payload === undefined ? undefined : framings.get(payload)
  if (framing !== undefined) return chunkedBody(request, framing, chunks)

  if (header(request, 'x-amz-trailer') !== undefined) {
    throw new Fault('InvalidRequest', { message: 'x-amz-trailer needs a body in chunks with trailers' })
  }
  const isHashed = payload !== undefined && payload !== unsigned
  if (isHashed && !sha256Text.test(payload)) {
    throw new Fault('InvalidArgument', {
      message:
        'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, or a valid sha256 value.',
      ArgumentName: 'x-amz-content-sha256',
      ArgumentValue: payload,
    })
  }
  const length = isEmpty ? 0 : declaredLength(contentLength)
  return new StreamedBody(request.stream, new PlainDecoder(length, isHashed ? payload : undefined), length)
}

function chunkedBody(
  request: RawRequest,
  { isSigned, hasTrailers }: { readonly isSigned: boolean; readonly hasTrailers: boolean },
  chunks: ChunkSigning | undefined,
): RequestBody {
  if (isSigned && chunks === undefined) {
    throw new Fault('InvalidRequest', { message: 'Signed chunks need a request that is signed in its headers' })
  }
  const length = declaredLength(header(request, 'x-amz-decoded-content-length'))
  if (length === undefined) throw new Fault('MissingContentLength')
  const names = announcedTrailers(header(request, 'x-amz-trailer'))
  if (names.length > 0 && !hasTrailers) {
    throw new Fault('InvalidRequest', { message: 'x-amz-trailer needs a body in chunks with trailers' })
  }
  const decoder = new ChunkedDecoder({
    length,
    signing: isSigned ? chunks : undefined,
    hasTrailers,
    trailerNames: names,
  })
  return new StreamedBody(request.stream, decoder, length)
}

/**
 * The headers without `aws-chunked` among the content encodings: it belongs to the transfer, not to the object.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
 */
export function withoutChunking(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const encoding = headers['content-encoding']
  if (encoding === undefined || !encoding.toLowerCase().includes('aws-chunked')) return headers
  const others = encoding.split(',').filter((each) => each.trim().toLowerCase() !== 'aws-chunked')
  const { 'content-encoding': _, ...rest } = headers
  return others.length === 0 ? rest : { ...rest, 'content-encoding': others.map((each) => each.trim()).join(', ') }
}
