import type { ServerResponse } from 'node:http'
import type { Pace } from './pace.ts'
import { declaration, render, renderRoot, type Xml } from './xml/render.ts'

/**
 * Writing answers.
 *
 * W1  an answer is either whole, or the connection breaks before its declared end: never short and unflagged.
 * W2  what the client does not take is not read from the source: a stream holds one chunk.
 */
export type Head = Record<string, string>

export interface Sending {
  readonly response: ServerResponse
  readonly status: number
  readonly head: Head
  readonly pace: Pace
  /** HEAD: headers only. */
  readonly isBodiless: boolean
  /** What is waited for between the last byte and the end of the answer. */
  readonly linger?: (() => Promise<void>) | undefined
  /** Told how many bytes of a body were handed on. */
  readonly sent?: ((bytes: number) => void) | undefined
}

/** What a source did wrong after the status was sent; the connection is broken for it. */
export class BrokenAnswer extends Error {}

/** Node joins a small body to its headers, in one write, where it is a string; above this size the copy costs more than it saves. */
const joinedBytesMax = 8_192

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

function end(sending: Sending, bytes?: string | Uint8Array): void {
  const { response, pace, linger } = sending
  if (linger !== undefined) {
    if (bytes === undefined) response.flushHeaders()
    else response.write(bytes)
    void linger().then(() => response.end())
  } else if (bytes === undefined) response.end()
  else if (typeof bytes === 'string' || bytes.length > joinedBytesMax) response.end(bytes)
  else response.end(latin1(bytes), 'latin1')
  if (!response.writableFinished && (response.socket?.writableLength ?? 0) > 0) pace.watchResponse(response)
}

/** An answer that is there at once. */
export function sendBytes(sending: Sending, bytes: string | Uint8Array | undefined): void {
  const { response, status, head, isBodiless } = sending
  if (bytes !== undefined && head['content-length'] === undefined) {
    head['content-length'] = String(typeof bytes === 'string' ? Buffer.byteLength(bytes) : bytes.length)
  } else if (bytes === undefined && !isBodiless && status !== 204 && status !== 304) {
    head['content-length'] = '0'
  }
  response.writeHead(status, head)
  if (bytes !== undefined && !isBodiless) sending.sent?.(Number(head['content-length']))
  end(sending, isBodiless ? undefined : bytes)
}

export function sendXml(sending: Sending, document: Xml): void {
  sending.head['content-type'] ??= 'application/xml'
  sendBytes(sending, render(document))
}

const drained = ({ response, pace }: Sending): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done).off('close', done)
      resolve()
    }
    pace.watchResponse(response)
    response.on('drain', done).on('close', done)
  })

/** Throws what the source throws before its first chunk, when an error can still be answered; afterwards BrokenAnswer. */
export async function sendStream(sending: Sending, source: AsyncIterable<Uint8Array>): Promise<void> {
  const { response, status, head } = sending
  const chunks = source[Symbol.asyncIterator]()
  let step = await chunks.next()
  response.writeHead(status, head)
  let sent = 0
  try {
    while (!step.done && !response.destroyed) {
      sent += step.value.length
      if (!response.write(step.value)) await drained(sending)
      step = response.destroyed ? { done: true, value: undefined } : await chunks.next()
    }
    // The client left: the source is told, so that it lets go of its file.
    if (response.destroyed) {
      await chunks.return?.()
      return
    }
  } catch (cause) {
    response.destroy()
    throw new BrokenAnswer('the source of an answer failed midway', { cause })
  } finally {
    sending.sent?.(sent)
  }
  const declared = head['content-length']
  if (declared !== undefined && Number(declared) !== sent) {
    response.destroy()
    throw new BrokenAnswer(`an answer of ${declared} bytes came to ${sent}`)
  }
  end(sending)
}

/** How long an answer may take before the client is kept awake, and how often it then is. SDKs give up after 60 s. */
export interface LaterOptions {
  readonly firstMs: number
  readonly everyMs: number
}

const soon = Symbol('not yet')

function within<T>(promise: Promise<T>, milliseconds: number): Promise<T | typeof soon> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(soon), milliseconds)
    promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

/**
 * An answer that may take long: the status, then white space until the document is there. What is thrown at once is thrown
 * on, and gets its own status; later it becomes a document under status 200, which is what `failed` makes of it.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
 */
export async function sendLater(
  sending: Sending,
  later: Promise<Xml>,
  options: LaterOptions,
  failed: (thrown: unknown) => Xml,
): Promise<void> {
  const early = await within(later, options.firstMs)
  if (early !== soon) {
    sendXml(sending, early)
    return
  }
  const { response, status, head } = sending
  head['content-type'] ??= 'application/xml'
  response.writeHead(status, head)
  response.write(declaration)
  const timer = setInterval(() => response.write(' '), options.everyMs)
  const document = await later.catch(failed).finally(() => clearInterval(timer))
  end(sending, renderRoot(document))
}
