import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Fault } from '#src/errors.ts'
import { requestClassOf } from '#src/model/usage.ts'
import type { Logs } from '#src/service/services.ts'
import type { UsageMeter } from '#src/service/usage-meter.ts'
import type { AuditLog } from '#src/telemetry/audit-log.ts'
import type { Log } from '#src/telemetry/log.ts'
import type { RequestMeters } from '#src/telemetry/request-meters.ts'
import type { Span } from '#src/telemetry/span.ts'
import type { Tracer } from '#src/telemetry/tracer.ts'
import { type Ending, type Recorded, recordLine } from './access-log.ts'
import type { Address } from './address.ts'
import { deedOf } from './audit.ts'
import { errorAnswer, errorElement, faultOf, type RequestIds } from './errors.ts'
import type { Incoming } from './incoming.ts'
import type { S3Response } from './operations/operation.ts'
import type { Pace } from './pace.ts'
import type { Outcome } from './pipeline.ts'
import { withRecord } from './recorded-answer.ts'
import { type RequestBodyOptions, SocketBody } from './request-body.ts'
import type { RequestNames } from './request-names.ts'
import { BrokenAnswer, type LaterOptions, type Sending, sendBytes, sendLater, sendStream, sendXml } from './send.ts'
import type { Client, TrustedProxies } from './trusted-proxies.ts'
import { errorPage } from './website/error-page.ts'

export interface ExchangeParts {
  readonly route: (incoming: Incoming, address: Address) => Promise<Outcome>
  readonly address: (target: string, host: string) => Address
  readonly names: RequestNames
  readonly pace: Pace
  readonly body: RequestBodyOptions
  readonly later: LaterOptions
  readonly headersMax: number
  readonly log: Log
  readonly meters: RequestMeters
  /** A line for each request, where wanted. */
  readonly logsAccess: boolean
  /** Told of changes, and of what was denied; absent: nobody wants to know. */
  readonly audit?: AuditLog | undefined
  /** Keeps the records of requests to buckets that are logged; absent: nobody does. */
  readonly logs?: Pick<Logs, 'record'> | undefined
  readonly isDraining: () => boolean
  /** Counts what requests to buckets use; absent: nobody does. */
  readonly meter?: Pick<UsageMeter, 'count'> | undefined
  /** Code of this region, where there are others. */
  readonly servedFrom?: string | undefined
  readonly proxies: TrustedProxies
  /** Makes spans of requests; absent: nobody wants to know. */
  readonly tracer?: Tracer | undefined
}

/** Whose request it is, where another region passed it on. */
export interface Origin extends Client {
  readonly region: string
  /** As `traceparent` has it: the span there, where the request is traced. */
  readonly trace?: string
}

const badRequest = (message: string): Fault => new Fault('BadRequest', { message })

function hasTwoHosts(rawHeaders: readonly string[]): boolean {
  let hosts = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]
    if (name?.length === 4 && name.toLowerCase() === 'host') hosts++
  }
  return hosts > 1
}

/** What Node lets through and we do not: each is a way to make a proxy and us see different requests. */
function checkForm(request: IncomingMessage, headersMax: number): void {
  const { rawHeaders, headers, httpVersionMajor, httpVersionMinor } = request
  if (httpVersionMajor !== 1) throw badRequest('HTTP/1.1 is spoken here.')
  // Node silently drops what is over the limit, so a request that reaches it may have had more.
  if (rawHeaders.length >= 2 * headersMax) throw new Fault('RequestHeaderSectionTooLarge')
  if (headers.host === undefined && httpVersionMinor > 0) throw badRequest('A request must have a Host header.')
  if (hasTwoHosts(rawHeaders)) throw badRequest('A request must have one Host header.')
  const coding = headers['transfer-encoding']
  if (coding === undefined) return
  if (httpVersionMinor === 0) throw badRequest('HTTP/1.0 has no transfer codings.')
  if (coding.toLowerCase() !== 'chunked') {
    throw new Fault('NotImplemented', { message: 'A transfer coding other than chunked is not implemented.' })
  }
}

/** Without the query, which may hold a signature: nothing else of a target is logged. */
const path = (target: string): string => target.split('?', 1)[0] ?? ''

function decodedPath(target: string): string {
  try {
    return decodeURIComponent(path(target))
  } catch {
    return path(target)
  }
}

/** Bytes of a connection that were counted with its earlier requests. */
const counted = new WeakMap<Socket, { received: number; sent: number }>()

/** One request and its answer. Never rejects: what goes wrong is answered, or the connection is broken and it is logged. */
export class Exchange {
  readonly #parts: ExchangeParts
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  /** Node takes it from the request when the connection breaks. */
  readonly #socket: Socket
  readonly #target: string
  readonly #origin: Origin | undefined
  readonly #client: Client
  readonly #id: string
  readonly #body: SocketBody | undefined
  readonly #began = Date.now()
  readonly #started = performance.now()
  #turned = 0
  /** Of what went wrong, where something did. */
  #code: string | undefined
  #bytesSent = 0

  constructor(
    parts: ExchangeParts,
    request: IncomingMessage,
    response: ServerResponse,
    target: string,
    origin?: Origin,
  ) {
    this.#parts = parts
    this.#request = request
    this.#response = response
    this.#socket = request.socket
    this.#target = target
    this.#origin = origin
    this.#client = origin ?? parts.proxies.clientOf(request)
    this.#id = parts.names.next()
    this.#body = SocketBody.isPresent(request) ? new SocketBody(request, response, parts.body) : undefined
  }

  run(): Promise<void> {
    const { tracer } = this.#parts
    return tracer === undefined ? this.#run() : this.#traced(tracer)
  }

  /** A request that another region passed on is traced where it is there. */
  async #traced(tracer: Tracer): Promise<void> {
    const { method = '', headers } = this.#request
    const options = {
      kind: 'server',
      attributes: { 'http.request.method': method, 'aws.request_id': this.#id },
    } as const
    const span =
      this.#origin === undefined
        ? tracer.request('S3', headers['traceparent'], options)
        : tracer.resume('S3', this.#origin.trace, options)
    await (span === undefined ? this.#run() : tracer.within(span, () => this.#run(span)))
  }

  async #run(span?: Span): Promise<void> {
    const { meters } = this.#parts
    meters.underWay.add(1)
    const outcome = await this.#outcome()
    this.#turned = performance.now()
    try {
      await this.#answer(outcome)
    } catch (thrown) {
      await this.#recover(outcome, thrown)
    }
    meters.underWay.add(-1)
    this.#count(outcome)
    this.#meter(outcome)
    if (this.#parts.logsAccess) this.#logAccess(outcome)
    if (this.#parts.audit !== undefined) this.#tell(outcome, this.#parts.audit)
    if (span !== undefined) this.#endSpan(span, outcome)
  }

  /** Keys are personal data: they are told where the access log tells them too. */
  #endSpan(span: Span, { operation, notes, bucket }: Outcome): void {
    const { statusCode } = this.#response
    const request = notes?.request
    span.rename(`S3 ${operation}`)
    span.set('meridian.operation', operation)
    span.set('http.response.status_code', statusCode)
    span.set('http.response.body.size', this.#bytesSent)
    span.set('aws.s3.bucket', bucket?.name ?? (request?.bucket || undefined))
    if (this.#parts.logsAccess) span.set('aws.s3.key', request?.key || undefined)
    span.set('meridian.forwarded_by', this.#origin?.region)
    if (this.#code !== undefined) span.set('error.type', this.#code)
    if (statusCode >= 500) span.fail()
    span.end()
  }

  async #outcome(): Promise<Outcome> {
    const request = this.#request
    try {
      checkForm(request, this.#parts.headersMax)
      const address = this.#parts.address(this.#target, request.headers.host ?? '')
      const incoming: Incoming = {
        id: this.#id,
        method: request.method ?? '',
        headers: request.headers,
        rawHeaders: request.rawHeaders,
        stream: request,
        remoteAddress: this.#client.remoteAddress,
        isSecure: this.#client.isSecure,
        ...(this.#origin !== undefined && { forwardedBy: this.#origin.region }),
      }
      return await this.#parts.route(incoming, address)
    } catch (thrown) {
      return { operation: request.method ?? '', thrown }
    }
  }

  async #answer(outcome: Outcome): Promise<void> {
    if (outcome.response === undefined) {
      await this.#sendError(outcome, outcome.thrown)
      return
    }
    const { status, headers, body, later } = await this.#recorded(outcome, outcome.response)
    const sending = this.#sending(status, { ...headers, ...outcome.corsHeaders })
    if (later !== undefined) {
      await sendLater(sending, later, this.#parts.later, (thrown) =>
        errorElement(this.#faultOf(outcome, thrown), this.#ids()),
      )
    } else await sendBody(sending, body)
    if (sending.head['connection'] !== 'close') this.#body?.dump()
  }

  /** The answer could not be made, or broke midway. */
  async #recover(outcome: Outcome, thrown: unknown): Promise<void> {
    if (thrown instanceof BrokenAnswer) {
      this.#parts.log.error('an answer broke midway', { error: thrown, request: this.#id, target: path(this.#target) })
      return
    }
    if (this.#response.headersSent) {
      this.#faultOf(outcome, thrown)
      this.#response.destroy()
      return
    }
    await this.#sendError(outcome, thrown)
  }

  /** The answer, which ends when its record is written, where the bucket is logged. */
  async #recorded(outcome: Outcome, response: S3Response): Promise<S3Response> {
    const { recorded } = outcome
    if (recorded === undefined) return response
    return await withRecord(response, this.#request.method === 'HEAD', (ending) => this.#record(recorded, ending))
  }

  async #record(recorded: readonly Recorded[], ending: Ending): Promise<void> {
    const exchanged = {
      target: this.#target,
      httpVersion: this.#request.httpVersion,
      hostId: this.#parts.names.hostId,
      began: this.#began,
      totalMilliseconds: performance.now() - this.#started,
      turnAroundMilliseconds: this.#turned - this.#started,
    }
    const { logs } = this.#parts
    await Promise.all(recorded.map((each) => logs?.record(each.bucket, recordLine(each, exchanged, ending))))
  }

  async #sendError(outcome: Outcome, thrown: unknown): Promise<void> {
    const fault = this.#faultOf(outcome, thrown)
    const { status, headers, body } = (outcome.isWebsite === true ? errorPage : errorAnswer)(fault, this.#ids())
    if (outcome.recorded !== undefined) {
      const bytesSent = this.#request.method === 'HEAD' ? 0 : Buffer.byteLength(body)
      await this.#record(outcome.recorded, { status, errorCode: fault.code, bytesSent })
    }
    const sending = this.#sending(status, { ...headers, ...outcome.corsHeaders })
    sendBytes(sending, body === '' ? undefined : body)
    if (sending.head['connection'] !== 'close') this.#body?.dump()
  }

  #faultOf(outcome: Outcome, thrown: unknown): Fault {
    const { fault, isExpected } = faultOf(thrown)
    this.#code = fault.code
    if (!isExpected) {
      const fields = { error: thrown, request: this.#id, operation: outcome.operation, target: path(this.#target) }
      this.#parts.log.error('a request failed', fields)
      this.#parts.meters.failures.add()
    }
    return fault
  }

  #ids(): RequestIds {
    return { resource: decodedPath(this.#target), requestId: this.#id, hostId: this.#parts.names.hostId }
  }

  #sending(status: number, headers: Readonly<Record<string, string>>): Sending {
    const { names, pace, isDraining, servedFrom } = this.#parts
    const head: Record<string, string> = {
      'x-amz-id-2': names.hostId,
      'x-amz-request-id': this.#id,
      server: names.server,
      ...(servedFrom !== undefined && { 'x-tigris-served-from': servedFrom }),
      ...headers,
    }
    const mustClose = this.#body?.mustClose() === true
    if (mustClose || isDraining()) head['connection'] = 'close'
    const linger = mustClose && this.#body !== undefined ? () => this.#body?.linger() ?? Promise.resolve() : undefined
    const isBodiless = this.#request.method === 'HEAD'
    const sent = (bytes: number): void => {
      this.#bytesSent += bytes
    }
    return { response: this.#response, status, head, pace, isBodiless, linger, sent }
  }

  /** What the bucket used by this request; nobody pays for what was refused, or went wrong here. */
  #meter({ operation, bucket, isElsewhere }: Outcome): void {
    const { meter } = this.#parts
    const { statusCode } = this.#response
    if (meter === undefined || bucket === undefined || isElsewhere === true) return
    if (statusCode >= 500 || statusCode === 401 || statusCode === 403) return
    const { headers } = this.#request
    const declared = headers['x-amz-decoded-content-length'] ?? headers['content-length'] ?? '0'
    const received = statusCode < 300 && this.#body !== undefined ? Number(declared) : 0
    meter.count(bucket, [
      [`requests ${requestClassOf(operation)}`, 1],
      ['bytes in', Number.isSafeInteger(received) ? received : 0],
      ['bytes out', this.#bytesSent],
    ])
  }

  #count({ operation }: Outcome): void {
    const socket = this.#socket
    const before = counted.get(socket)
    const { bytesRead, bytesWritten } = socket
    const seconds = (performance.now() - this.#started) / 1e3
    const received = bytesRead - (before?.received ?? 0)
    const sent = bytesWritten - (before?.sent ?? 0)
    this.#parts.meters.answered(operation, this.#response.statusCode, seconds, received, sent)
    if (before === undefined) counted.set(socket, { received: bytesRead, sent: bytesWritten })
    else {
      before.received = bytesRead
      before.sent = bytesWritten
    }
  }

  #tell(outcome: Outcome, audit: AuditLog): void {
    const { method = '', headers } = this.#request
    const asked = {
      id: this.#id,
      method,
      path: path(this.#target),
      userAgent: headers['user-agent'],
      remoteAddress: this.#client.remoteAddress,
      forwardedBy: this.#origin?.region,
    }
    const deed = deedOf(asked, outcome, this.#response.statusCode, this.#code)
    if (deed !== undefined) audit(deed)
  }

  #logAccess({ operation }: Outcome): void {
    this.#parts.log.info('request', {
      request: this.#id,
      method: this.#request.method,
      target: path(this.#target),
      operation,
      status: this.#response.statusCode,
      remoteAddress: this.#client.remoteAddress,
      milliseconds: Math.round((performance.now() - this.#started) * 1_000) / 1_000,
    })
  }
}

async function sendBody(sending: Sending, body: S3Response['body']): Promise<void> {
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) sendBytes(sending, body)
  else if ('children' in body) sendXml(sending, body)
  else if (sending.isBodiless) sendBytes(sending, undefined)
  else await sendStream(sending, body)
}
