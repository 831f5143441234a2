import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { close, listen } from '#gateway/listening.ts'
import type { Log } from '#src/telemetry/log.ts'
import { type FlyAnswer, jsonAnswer, type Route, Router, readRequest } from './exchange.ts'
import { refusalOf } from './faults.ts'
import { html, pageAnswer } from './pages.ts'

export interface FlyServerParts {
  readonly routes: readonly Route[]
  readonly log: Log
}

const headerBytesMax = 16 * 1024
const requestTimeoutMs = 30_000
/**
 * On every answer: nothing of it is anybody else's to keep, to frame or to guess the type of. Its address is told to this server
 * alone; to nobody at all, and browsers would not say where a form was either: https://fetch.spec.whatwg.org/#origin-header
 */
const common: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'same-origin',
}

/** Fly's provider API, and the control plane that flyctl speaks to, on one port of their own. */
export class FlyServer {
  readonly #router: Router
  readonly #log: Log
  readonly #server: Server

  constructor({ routes, log }: FlyServerParts) {
    this.#router = new Router(routes)
    this.#log = log
    this.#server = createServer({
      maxHeaderSize: headerBytesMax,
      requestTimeout: requestTimeoutMs,
      headersTimeout: requestTimeoutMs / 2,
      keepAliveTimeout: 5_000,
    })
    this.#server.on('request', (request, response) => this.#take(request, response))
  }

  async listen(host: string, port: number): Promise<AddressInfo> {
    return await listen(this.#server, host, port)
  }

  /** Stops accepting, and waits so many milliseconds for what is under way. */
  async close(patience: number): Promise<void> {
    await close(this.#server, patience)
  }

  #take(message: IncomingMessage, response: ServerResponse): void {
    this.#answer(message).then(
      (answer) => write(response, answer),
      (error: unknown) => {
        this.#log.error('a request to the control plane failed', { error })
        response.destroy()
      },
    )
  }

  async #answer(message: IncomingMessage): Promise<FlyAnswer> {
    try {
      const request = await readRequest(message)
      const { route, parameters } = this.#router.find(request)
      return await route.handle(request, parameters)
    } catch (error) {
      const { refusal, isBug } = refusalOf(error)
      const { status, code, message: text } = refusal
      if (isBug) this.#log.error('a request to the control plane failed', { error, path: message.url?.split('?')[0] })
      const headers: Record<string, string> = status === 503 ? { 'retry-after': '2' } : {}
      // What was not read is not waited for.
      if (!message.complete) headers['connection'] = 'close'
      const isBrowser = message.headers.accept?.includes('text/html') === true
      return isBrowser
        ? pageAnswer({ title: 'That did not work', status, body: html`<p role="alert">${text}</p>`, headers })
        : jsonAnswer(status, { error: text, code }, headers)
    }
  }
}

function write(response: ServerResponse, { status, headers = {}, body }: FlyAnswer): void {
  const bytes = body === undefined ? undefined : Buffer.from(body)
  const length = status === 204 ? {} : { 'content-length': String(bytes?.length ?? 0) }
  response.writeHead(status, { ...common, ...headers, ...length }).end(bytes)
}
