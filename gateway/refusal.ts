import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { Fault } from '#src/errors.ts'
import { errorAnswer } from './errors.ts'
import type { RequestNames } from './request-names.ts'

/** Why Node's parser gave a connection up, in S3's words. */
const codes: ReadonlyMap<string, Fault> = new Map([
  ['HPE_HEADER_OVERFLOW', new Fault('RequestHeaderSectionTooLarge')],
  ['ERR_HTTP_REQUEST_TIMEOUT', new Fault('RequestTimeout')],
])

const badRequest = new Fault('BadRequest')

/** What Node knows of a connection's answer under way; its own default handler looks at the same. */
interface Connection extends Duplex {
  readonly _httpMessage?: {
    readonly headersSent: boolean
    readonly req?: { readonly complete: boolean }
    shouldKeepAlive: boolean
  } | null
}

/**
 * Answers what Node refuses by itself, and closes. Where an earlier request of the connection is still to be answered, this
 * answer would be taken for that one's: then the connection is closed without, as soon as that one has its own. So who sends
 * more bytes than it said hears what came of those that it did say.
 */
export function refuse(error: NodeJS.ErrnoException, socket: Connection, names: RequestNames): void {
  const message = socket._httpMessage
  const isTaken = message !== null && message !== undefined && (message.headersSent || message.req?.complete === true)
  if (isTaken && !message.headersSent && socket.writable) {
    message.shouldKeepAlive = false
    return
  }
  if (isTaken || !socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const ids = { resource: '', requestId: names.next(), hostId: names.hostId }
  const { status, headers, body } = errorAnswer(codes.get(error.code ?? '') ?? badRequest, ids)
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    ...Object.entries({ ...headers, connection: 'close' }).map(([name, value]) => `${name}: ${value}`),
    `content-length: ${Buffer.byteLength(body)}`,
    `x-amz-request-id: ${ids.requestId}`,
    `x-amz-id-2: ${ids.hostId}`,
    `date: ${new Date().toUTCString()}`,
    `server: ${names.server}`,
  ]
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`)
  // Whoever does not read this, or goes on sending, is not waited for.
  setTimeout(() => socket.destroy(), 1_000).unref()
}
