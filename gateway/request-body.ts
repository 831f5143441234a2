import type { IncomingMessage, ServerResponse } from 'node:http'
import { Fault } from '#src/errors.ts'
import type { Pace } from './pace.ts'

/**
 * The body of a request on its socket: when the client is asked for it, and what becomes of it when nobody wants it.
 *
 * E1  `100 Continue` goes out when the body is first read, and never after an answer has begun.
 * E2  a body that was not read is read away up to `drainBytesMax`, or the connection is closed after the answer: what is
 *     left of one request is never taken for the next one.
 */
export interface RequestBodyOptions {
  readonly pace: Pace
  readonly drainBytesMax: number
  /** How long a connection that will be closed waits for the client to see the answer. */
  readonly lingerMs: number
}

export class SocketBody {
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #options: RequestBodyOptions
  #isContinuePending: boolean
  #isSlow = false

  constructor(request: IncomingMessage, response: ServerResponse, options: RequestBodyOptions) {
    this.#request = request
    this.#response = response
    this.#options = options
    // Any other expectation may be passed over (RFC 9110 §10.1.1), and S3 does.
    this.#isContinuePending = request.headers.expect?.toLowerCase() === '100-continue'
    // Without a listener, an error on a stream that nobody reads at the moment would end the process.
    request.on('error', () => {})
    request.on('newListener', this.#onReader)
  }

  static isPresent({ headers }: IncomingMessage): boolean {
    const length = headers['content-length']
    return length === undefined ? headers['transfer-encoding'] !== undefined : length !== '0'
  }

  readonly #onReader = (event: string | symbol): void => {
    if (event !== 'data' && event !== 'readable') return
    this.#request.off('newListener', this.#onReader)
    if (this.#isContinuePending && !this.#response.headersSent) this.#response.writeContinue()
    this.#isContinuePending = false
    this.#options.pace.watchRequest(this.#request, () => this.#giveUp())
  }

  /** The reader gets a Fault in place of the next bytes, and its answer still goes out. */
  #giveUp(): void {
    this.#isSlow = true
    if (this.#response.headersSent) this.#response.destroy()
    else this.#request.emit('error', new Fault('RequestTimeout'))
  }

  /** Whether the connection cannot be used again after the answer; asked before its headers go out. */
  mustClose(): boolean {
    if (this.#request.complete) return false
    const length = Number(this.#request.headers['content-length'] ?? Number.POSITIVE_INFINITY)
    return this.#isSlow || this.#isContinuePending || length > this.#options.drainBytesMax
  }

  /**
   * Lets the client see the answer: closing while it still sends would make its kernel throw the answer away. Called between
   * the last byte of the answer and its end.
   */
  async linger(): Promise<void> {
    const request = this.#request
    if (request.complete || this.#isContinuePending || this.#isSlow || request.destroyed) return
    request.off('newListener', this.#onReader)
    await new Promise<void>((resolve) => {
      let left = this.#options.drainBytesMax
      const timer = setTimeout(resolve, this.#options.lingerMs)
      const done = (): void => {
        clearTimeout(timer)
        resolve()
      }
      request.on('data', (chunk: Buffer) => {
        left -= chunk.length
        if (left < 0) done()
      })
      request.on('end', done).on('close', done).resume()
    })
  }

  /** Reads away what is left of a small body, so that the next request can be read; a slow client is not waited for. */
  dump(): void {
    if (this.#request.complete) return
    this.#request.off('newListener', this.#onReader)
    this.#options.pace.watchRequest(this.#request, () => this.#request.destroy())
    this.#request.resume()
  }
}
