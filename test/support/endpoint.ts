import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What an endpoint was sent. */
export interface Received {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly at: number
}

/** How it answers: a status; `never`: it does not. */
export type Answering = (received: Received) => number | 'never'

/** A small HTTP server on this machine that takes what it is posted. */
export class Endpoint {
  readonly received: Received[] = []
  answering: Answering = () => 200
  readonly #server: Server
  #port = 0

  private constructor() {
    this.#server = createServer((request, response) => {
      let body = ''
      request.setEncoding('utf8')
      request.on('data', (chunk: string) => {
        body += chunk
      })
      request.on('end', () => {
        const received = { path: request.url ?? '', headers: request.headers, body, at: performance.now() }
        this.received.push(received)
        const answer = this.answering(received)
        if (answer === 'never') return
        response.statusCode = answer
        if (answer > 300 && answer < 400) response.setHeader('location', `${this.url}/redirected`)
        response.end('seen')
      })
    })
  }

  static async open(port = 0): Promise<Endpoint> {
    const endpoint = new Endpoint()
    await new Promise<void>((resolve) => endpoint.#server.listen(port, '127.0.0.1', resolve))
    endpoint.#port = (endpoint.#server.address() as AddressInfo).port
    return endpoint
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  get port(): number {
    return this.#port
  }

  /** What has come to a path, once there are so many; what came before the time was over otherwise. */
  async wait(count: number, path = '/', patience = 60_000): Promise<readonly Received[]> {
    const until = performance.now() + patience
    for (;;) {
      const found = this.received.filter((each) => each.path === path)
      if (found.length >= count || performance.now() > until) return found
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
