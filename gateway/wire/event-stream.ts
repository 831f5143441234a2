import { crc32 } from '@node-rs/crc32'
import type { Fault } from '#src/errors.ts'
import type { Stats } from '#src/select/request.ts'

/**
 * The messages of an answer to SelectObjectContent.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html
 *
 * V7  a message is its length, the length of its headers, a CRC-32 of both, headers, payload, and a CRC-32 of all before it.
 */
type Headers = readonly (readonly [name: string, value: string])[]

const preludeLength = 12
const crcLength = 4
/** Of a header's value: a string of at most 64 kB. */
const stringType = 7

const nothing = new Uint8Array(0)

function encodeHeaders(headers: Headers): Buffer {
  const parts: Buffer[] = []
  for (const [name, value] of headers) {
    const [nameBytes, valueBytes] = [Buffer.from(name), Buffer.from(value)]
    const lengths = Buffer.from([stringType, valueBytes.length >>> 8, valueBytes.length & 255])
    parts.push(Buffer.from([nameBytes.length]), nameBytes, lengths, valueBytes)
  }
  return Buffer.concat(parts)
}

export function encodeMessage(headers: Headers, payload: Uint8Array = nothing): Uint8Array {
  const head = encodeHeaders(headers)
  const length = preludeLength + head.length + payload.length + crcLength
  const message = Buffer.allocUnsafe(length)
  message.writeUInt32BE(length, 0)
  message.writeUInt32BE(head.length, 4)
  message.writeUInt32BE(crc32(message.subarray(0, 8)), 8)
  head.copy(message, preludeLength)
  message.set(payload, preludeLength + head.length)
  message.writeUInt32BE(crc32(message.subarray(0, length - crcLength)), length - crcLength)
  return message
}

function event(type: string, contentType?: string, payload?: Uint8Array): Uint8Array {
  return encodeMessage(
    [
      [':event-type', type],
      ...(contentType === undefined ? [] : ([[':content-type', contentType]] as const)),
      [':message-type', 'event'],
    ],
    payload,
  )
}

export const recordsMessage = (records: Uint8Array): Uint8Array => event('Records', 'application/octet-stream', records)

/** Keeps the client awake. */
export const continuationMessage = (): Uint8Array => event('Cont')

/** Without it, an answer is not whole. */
export const endMessage = (): Uint8Array => event('End')

export function statsMessage(type: 'Progress' | 'Stats', { scanned, processed, returned }: Stats): Uint8Array {
  const counts = `<BytesScanned>${scanned}</BytesScanned><BytesProcessed>${processed}</BytesProcessed>`
  const document = `<?xml version="1.0" encoding="UTF-8"?><${type}>${counts}<BytesReturned>${returned}</BytesReturned></${type}>`
  return event(type, 'text/xml', Buffer.from(document))
}

/** Ends an answer that went wrong after it began. */
export function errorMessage(code: Fault['code'], message: string): Uint8Array {
  return encodeMessage([
    [':error-code', code],
    [':error-message', message],
    [':message-type', 'error'],
  ])
}
