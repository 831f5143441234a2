import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expositionType } from '#src/telemetry/exposition.ts'
import { close, listen } from './listening.ts'

/** Whether requests should be sent here; if not, why. */
export interface Readiness {
  readonly isReady: boolean
  readonly problems: readonly string[]
}

/** What the processes of a node tell of themselves. */
export interface Measured {
  /** In Prometheus' text format. */
  metrics(): Promise<string>
  readiness(): Promise<Readiness>
}

const json = 'application/json'

/**
 * Metrics and health, on a port of its own: who may connect may read, with no S3 key, and nothing else is there.
 *
 *   /metrics   in Prometheus' text format
 *   /-/health  200 while the process answers
 *   /-/ready   200 where requests should be sent here, else 503; why not is in the answer
 */
export class MetricsServer {
  readonly #measured: Measured
  readonly #server: Server

  constructor(measured: Measured) {
    this.#measured = measured
    this.#server = createServer({ maxHeaderSize: 8_192, requestTimeout: 10_000 }, (request, response) => {
      this.#answer(request, response).catch(() => {
        if (response.headersSent) response.destroy()
        else say(response, 500, 'text/plain', 'what was measured could not be told\n')
      })
    })
  }

  async listen(host: string, port: number): Promise<AddressInfo> {
    return await listen(this.#server, host, port)
  }

  async close(): Promise<void> {
    await close(this.#server)
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD')
      return say(response, 405, 'text/plain', 'GET and HEAD only\n')
    }
    switch ((request.url ?? '').split('?', 1)[0]) {
      case '/metrics':
        return say(response, 200, expositionType, await this.#measured.metrics())
      case '/-/health':
        return say(response, 200, json, '{"isHealthy":true}\n')
      case '/-/ready': {
        const readiness = await this.#measured.readiness()
        return say(response, readiness.isReady ? 200 : 503, json, `${JSON.stringify(readiness)}\n`)
      }
      default:
        return say(response, 404, 'text/plain', 'there are /metrics, /-/health and /-/ready\n')
    }
  }
}

function say(response: ServerResponse, status: number, type: string, text: string): void {
  // Node leaves the body of a HEAD out by itself.
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text) }).end(text)
}
