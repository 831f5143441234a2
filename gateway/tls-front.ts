import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Certificates } from './certificates.ts'
import { close, listen } from './listening.ts'
import type { GatewayServer, ServerLimits } from './server.ts'

/** The same as the gateway's port, with TLS. */
export class TlsFront {
  readonly #server: Server
  readonly #limits: ServerLimits

  constructor(gateway: GatewayServer, certificates: Certificates, limits: ServerLimits) {
    this.#limits = limits
    const { headerBytesMax, headersTimeoutMs, keepAliveTimeoutMs, headersMax, connectionsMax } = limits
    this.#server = createServer({
      minVersion: 'TLSv1.2',
      maxHeaderSize: headerBytesMax,
      requireHostHeader: false,
      headersTimeout: headersTimeoutMs,
      keepAliveTimeout: keepAliveTimeoutMs,
      connectionsCheckingInterval: Math.ceil(headersTimeoutMs / 3),
      // What has no certificate gets none: the handshake ends.
      SNICallback: (host, done) => {
        certificates.contextFor(host).then(
          (context) => (context === undefined ? done(new Error('no certificate')) : done(null, context)),
          (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
        )
      },
    })
    this.#server.maxHeadersCount = headersMax
    this.#server.maxConnections = connectionsMax
    this.#server.requestTimeout = 0
    const serve = (request: IncomingMessage, response: ServerResponse): void => gateway.serve(request, response)
    this.#server.on('request', serve).on('checkContinue', serve).on('checkExpectation', serve)
    this.#server.on('clientError', (_, socket) => socket.destroy())
  }

  async listen(host: string, port: number): Promise<AddressInfo> {
    return await listen(this.#server, host, port)
  }

  /** Stops accepting, answers what is under way, and closes what is not done in time. */
  async close(): Promise<void> {
    await close(this.#server, this.#limits.drainTimeoutMs)
  }
}
