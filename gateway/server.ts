import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { type FastifyInstance, fastify } from 'fastify'
import type { Logs } from '#src/service/services.ts'
import type { AuditLog } from '#src/telemetry/audit-log.ts'
import type { Log } from '#src/telemetry/log.ts'
import { Metrics } from '#src/telemetry/metrics.ts'
import { RequestMeters } from '#src/telemetry/request-meters.ts'
import type { Tracer } from '#src/telemetry/tracer.ts'
import { addressing } from './address.ts'
import { Exchange, type ExchangeParts, type Origin } from './exchange.ts'
import type { Incoming } from './incoming.ts'
import { Pace, type PaceOptions } from './pace.ts'
import type { Outcome } from './pipeline.ts'
import { refuse } from './refusal.ts'
import { RequestNames } from './request-names.ts'
import type { LaterOptions } from './send.ts'
import { TrustedProxies } from './trusted-proxies.ts'

export interface ServerLimits {
  readonly headerBytesMax: number
  readonly headersMax: number
  /** From the connection, or the end of the last request, to the last header. */
  readonly headersTimeoutMs: number
  readonly keepAliveTimeoutMs: number
  readonly connectionsMax: number
  readonly pace: PaceOptions
  /** Of a body that nobody reads. */
  readonly drainBytesMax: number
  readonly lingerMs: number
  /** How long a stop waits for requests under way. */
  readonly drainTimeoutMs: number
  readonly later: LaterOptions
}

export const defaultLimits: ServerLimits = {
  headerBytesMax: 16 << 10,
  // The longest signed requests of SDKs have some forty, and 2 KiB of metadata hold a hundred more.
  headersMax: 256,
  headersTimeoutMs: 15_000,
  keepAliveTimeoutMs: 60_000,
  connectionsMax: 10_000,
  pace: { windowMs: 30_000, bytesPerSecondMin: 1_024 },
  // Reading this away costs less than the new connection it saves; and most clients send that much before they listen.
  drainBytesMax: 1 << 20,
  lingerMs: 2_000,
  drainTimeoutMs: 30_000,
  later: { firstMs: 2_000, everyMs: 10_000 },
}

export interface ServerParts {
  readonly route: (incoming: Incoming, address: ReturnType<ExchangeParts['address']>) => Promise<Outcome>
  /** Base domains of virtual-hosted buckets. */
  readonly domains: readonly string[]
  /** Base domains of buckets' websites. */
  readonly websiteDomains?: readonly string[]
  /** Base domains under which buckets show their objects to browsers, and nothing else. */
  readonly contentDomains?: readonly string[]
  readonly log: Log
  /** Where requests are counted; absent: nobody asks. */
  readonly metrics?: Metrics
  readonly logsAccess?: boolean
  /** Told of changes, and of what was denied. */
  readonly audit?: AuditLog
  /** Keeps the records of requests to buckets that are logged. */
  readonly logs?: Pick<Logs, 'record'>
  readonly limits?: Partial<ServerLimits>
  /** Counts what requests to buckets use. */
  readonly meter?: ExchangeParts['meter']
  /** Code of this region, where there are others: every answer tells it. */
  readonly servedFrom?: string
  /** Addresses, and ranges of them, of proxies that are believed who they speak for. */
  readonly trustedProxies?: readonly string[]
  /** Makes spans of requests; absent: nobody wants to know. */
  readonly tracer?: Tracer | undefined
}

const methods = ['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS', 'PATCH'] as const

/** The HTTP front of S3. */
export class GatewayServer {
  readonly #parts: ServerParts
  readonly #limits: ServerLimits
  readonly #names: RequestNames
  readonly #pace: Pace
  readonly #app: FastifyInstance
  readonly #exchange: ExchangeParts
  #isDraining = false

  constructor(parts: ServerParts) {
    this.#parts = parts
    this.#limits = { ...defaultLimits, ...parts.limits }
    this.#names = new RequestNames(`${process.pid}`)
    this.#pace = new Pace(this.#limits.pace)
    const { drainBytesMax, lingerMs, later, headersMax } = this.#limits
    this.#exchange = {
      route: parts.route,
      address: addressing(parts.domains, parts.websiteDomains, parts.contentDomains),
      names: this.#names,
      pace: this.#pace,
      body: { pace: this.#pace, drainBytesMax, lingerMs },
      later,
      headersMax,
      log: parts.log,
      meters: new RequestMeters(parts.metrics ?? new Metrics()),
      logsAccess: parts.logsAccess ?? false,
      audit: parts.audit,
      logs: parts.logs,
      meter: parts.meter,
      isDraining: () => this.#isDraining,
      servedFrom: parts.servedFrom,
      proxies: new TrustedProxies(parts.trustedProxies ?? []),
      tracer: parts.tracer,
    }
    this.#app = this.#build()
    this.#listenToNode()
  }

  /**
   * One route for everything. Answers are written on Node's own response: S3 has nothing to parse, serialise or validate by a
   * schema, and each layer less is speed. The hook comes before fastify would judge a content type or read a body.
   */
  #build(): FastifyInstance {
    const { headerBytesMax, headersTimeoutMs, keepAliveTimeoutMs } = this.#limits
    const app = fastify({
      logger: false,
      exposeHeadRoutes: false,
      // The router sees one path, so that it neither decodes nor refuses any; the true one is the original URL.
      rewriteUrl: () => '/',
      genReqId: () => '',
      keepAliveTimeout: keepAliveTimeoutMs,
      forceCloseConnections: 'idle',
      return503OnClosing: false,
      http: {
        maxHeaderSize: headerBytesMax,
        // Ours to refuse: Node would answer without a document.
        requireHostHeader: false,
        headersTimeout: headersTimeoutMs,
        // Whoever is late is found within a third of the time; Node looks every 30 s by itself.
        connectionsCheckingInterval: Math.ceil(headersTimeoutMs / 3),
      },
      clientErrorHandler: (error, socket) => refuse(error, socket, this.#names),
      frameworkErrors: (_error, request, reply) => {
        reply.hijack()
        this.#serve(request.raw, reply.raw, request.originalUrl)
      },
    })
    app.addContentTypeParser('*', (_request, _payload, done) => done(null))
    app.addHook('onRequest', (request, reply, _done) => {
      reply.hijack()
      this.#serve(request.raw, reply.raw, request.originalUrl)
    })
    const never = async (): Promise<void> => {}
    app.route({ method: [...methods], url: '/', handler: never })
    app.setNotFoundHandler(never)
    return app
  }

  #listenToNode(): void {
    const { server } = this.#app
    server.maxHeadersCount = this.#limits.headersMax
    server.maxConnections = this.#limits.connectionsMax
    const { connections } = this.#exchange.meters
    server.on('connection', (socket: Socket) => {
      connections.add(1)
      socket.once('close', () => connections.add(-1))
    })
    // Bodies of terabytes take their time; how slow they may be is watched by Pace.
    server.requestTimeout = 0
    // Without this listener Node would say 100 at once, before anybody knows who asks.
    server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
      server.emit('request', request, response)
    })
    server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
      this.#serve(request, response, request.url ?? '/')
    })
  }

  #serve(request: IncomingMessage, response: ServerResponse, target: string): void {
    void new Exchange(this.#exchange, request, response, target).run()
  }

  /** Serves a request that came on a connection of another listener. */
  serve(request: IncomingMessage, response: ServerResponse): void {
    this.#serve(request, response, request.url ?? '/')
  }

  /** Serves a request that another region passed on, on a connection that is not this server's own. */
  serveForwarded(request: IncomingMessage, response: ServerResponse, origin: Origin): void {
    void new Exchange(this.#exchange, request, response, request.url ?? '/', origin).run()
  }

  /** Takes no more connections, and answers what is under way. */
  get isDraining(): boolean {
    return this.#isDraining
  }

  async listen(host: string, port: number): Promise<AddressInfo> {
    await this.#app.listen({ host, port })
    const address = this.#app.server.address()
    if (address === null || typeof address === 'string') throw new Error('the server has no address')
    return address
  }

  /** Stops accepting, answers what is under way, and closes what is not done in time. */
  async close(): Promise<void> {
    this.#isDraining = true
    const { server } = this.#app
    const timer = setTimeout(() => {
      this.#parts.log.warn('requests were cut off at the end of the drain time')
      server.closeAllConnections()
    }, this.#limits.drainTimeoutMs)
    // A connection whose last answer was under way when the drain began is idle only after it.
    const sweep = setInterval(() => server.closeIdleConnections(), 100)
    try {
      await this.#app.close()
    } finally {
      clearTimeout(timer)
      clearInterval(sweep)
      this.#pace.close()
    }
  }
}
