import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import type { S3Response } from '#gateway/operations/operation.ts'
import type { Members } from '#src/cluster/members.ts'
import type { PeerHealth } from '#src/cluster/peer-health.ts'
import { PeerUnreachable } from '#src/cluster/transport.ts'
import { Fault } from '#src/errors.ts'
import { memberOf } from '#src/model/region.ts'
import type { Tracer } from '#src/telemetry/tracer.ts'
import type { World } from '#src/world.ts'
import { answerHeader, type Call, callHeader, newCall, readCall, traceHeader, writeCall } from './call.ts'
import type { PeerClient } from './client.ts'
import type { ClusterSecret } from './sealing.ts'

/**
 * Requests of clients that another region carries out: sent there as they came, signature and all, and answered as they are
 * answered there.
 *
 * Y11  who passes a request on signs its head and says whose it is; nobody without the secret can speak for a client's address.
 * Y12  a request is passed on once: where it arrives it is carried out or answered 503.
 * Y18  where a request ends is never for its client to say in two ways: its body is not read as a request of another client.
 * Y20  what another region does not answer, or refuses to this one, is no answer to a client; what a client does says nothing of a region.
 * Y22  a region that hangs is not waited for longer than one that is at work.
 */
export interface ForwardedRequest {
  readonly call: Call
  readonly remoteAddress: string
  readonly isSecure: boolean
  /** Of the cell that passed it on; filled in once that is known to be a member. */
  readonly region: string
  /** The span of whoever passed it on. */
  readonly trace?: string
}

const forwardHeader = 'x-meridian-forward'
/** In an answer of the root: behind the change that was made, and as which root. */
export const positionHeader = 'x-meridian-position'

/** In the answer to a request that was passed on: nothing was done, since whoever did so was not known, or not now. */
export const refusalHeader = 'x-meridian-refusal'

/** What belongs to one connection, and not to the request (RFC 9110 §7.6.1). */
const ofConnections = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'upgrade',
])

/**
 * For whom a request is, and where it ends: nobody makes that a matter of the connection only. A body without its length would be read as
 * the next request on a connection that all clients share.
 */
const ofRequests = ['host', 'content-length', 'transfer-encoding', 'expect', 'authorization']

/** What cells alone say. */
const ofCells = new Set([forwardHeader, refusalHeader, positionHeader, traceHeader, callHeader, answerHeader])

interface Meta {
  readonly remoteAddress: string
  readonly isSecure: boolean
  /** Neither a length nor a coding: it has no body, and must not get one. */
  readonly isBare: boolean
  /** As the client sent it: it may be among what is signed. */
  readonly connection?: string
}

/** What is passed on, as the gateway has it. */
export interface Passing {
  readonly method: string
  /** Path and query, as they came. */
  readonly target: string
  readonly rawHeaders: readonly string[]
  readonly stream: Readable
  readonly remoteAddress: string
  readonly isSecure: boolean
}

function pairs(rawHeaders: readonly string[]): (readonly [name: string, value: string])[] {
  const found: (readonly [string, string])[] = []
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) found.push([rawHeaders[at] ?? '', rawHeaders[at + 1] ?? ''])
  return found
}

/** What is signed: the head without what connections add to it. */
function headText(
  said: string,
  method: string,
  target: string,
  headers: readonly (readonly [string, string])[],
): string {
  const lines = headers
    .filter(([name]) => !ofConnections.has(name.toLowerCase()) && name.toLowerCase() !== forwardHeader)
    .map(([name, value]) => `${name.toLowerCase()}:${value}\n`)
  return `forward\n${said}\n${method} ${target}\n${lines.join('')}`
}

export const isForwarded = ({ headers }: IncomingMessage): boolean => headers[forwardHeader] !== undefined

/** Reads who passed a request on, and takes that from its headers; undefined: nobody with the secret did. */
export function readForwarded(request: IncomingMessage, secret: ClusterSecret): ForwardedRequest | undefined {
  const value = request.headers[forwardHeader]
  if (typeof value !== 'string') return undefined
  const [callText = '', meta = '', signature = ''] = value.split(';')
  const headers = pairs(request.rawHeaders)
  const text = headText(`${callText};${meta}`, request.method ?? '', request.url ?? '', headers)
  const call = readCall(callText)
  if (call === undefined || !secret.isSigned(text, signature)) return undefined
  const { remoteAddress, isSecure, isBare, connection } = JSON.parse(
    Buffer.from(meta, 'base64').toString('utf8'),
  ) as Meta
  const trace = request.headers[traceHeader]
  const dropped = new Set([forwardHeader, traceHeader, 'connection', ...(isBare ? ['content-length'] : [])])
  const kept = headers.filter(([name]) => !dropped.has(name.toLowerCase()))
  if (connection !== undefined) kept.push(['connection', connection])
  request.rawHeaders = kept.flat()
  for (const name of dropped) delete request.headers[name]
  if (connection !== undefined) request.headers.connection = connection
  return { call, remoteAddress, isSecure, region: '', ...(typeof trace === 'string' && { trace }) }
}

export interface ForwarderParts {
  readonly client: PeerClient
  readonly secret: ClusterSecret
  readonly members: Members
  readonly health: Pick<PeerHealth, 'lost' | 'state'>
  readonly world: World
  readonly delayOf?: (cell: number) => number
  readonly tracer?: Tracer | undefined
  readonly patience?: Patience
}

/** In milliseconds. */
interface Patience {
  /** How long a connection may take. */
  readonly connect: number
  /** How long the other region may be silent, which may have much to do. */
  readonly silence: number
  /** As `silence`, while it answers none of our calls either. */
  readonly away: number
}

const defaultPatience: Patience = { connect: 3_000, silence: 900_000, away: 10_000 }

/** No answer came from a cell. */
class NoAnswer extends Error {
  /** Whether it may have carried the request out, or has some of its body: then no other is asked. */
  readonly isSent: boolean

  constructor(isSent: boolean, options?: ErrorOptions) {
    super(isSent ? 'the answer did not come' : 'nobody was asked', options)
    this.isSent = isSent
  }
}

class Silent extends Error {
  constructor() {
    super('the region is silent')
  }
}

/** Of whom a request was sent to. */
interface Health {
  /** Of its region. */
  isUp(): boolean
  /** Whether another node of its region is asked since. */
  isPassed(): boolean
}

/** How much longer than a region that is away a node is waited for that others passed over: it may be one that ends, in its own time. */
const passedLonger = 6

/**
 * Of a process that hangs, its machine goes on taking connections and some bytes: nobody is to wait for its answer as long as for one that
 * is at work. Ends what was sent once no byte of it was taken, and none of the answer came, for so many milliseconds of being away.
 */
function endWhereAway(sent: ClientRequest, milliseconds: number, { isUp, isPassed }: Health): void {
  const looks = 10
  let response: IncomingMessage | undefined
  let [unheard, moved] = [0, 0]
  const look = (): void => {
    const { bytesWritten = 0, bytesRead = 0 } = sent.socket ?? {}
    const isMoving = bytesWritten + bytesRead !== moved
    moved = bytesWritten + bytesRead
    // What came waits for the client.
    const isRead = response === undefined || response.readableLength === 0
    const away = isUp() ? (isPassed() ? 1 : 0) : passedLonger
    unheard = isMoving || !isRead || away === 0 ? 0 : unheard + away
    if (unheard >= looks * passedLonger) sent.destroy(new Silent())
  }
  const timer = setInterval(look, milliseconds / looks).unref()
  sent.once('response', (came) => {
    response = came
  })
  sent.once('close', () => clearInterval(timer))
}

/** A node of a cell. */
interface Node {
  readonly cell: number
  /** Undefined: the cell is no member. */
  readonly origin: string | undefined
}

export class Forwarder {
  readonly #parts: ForwarderParts

  constructor(parts: ForwarderParts) {
    this.#parts = parts
  }

  /**
   * The answer of the first of the cells that can be reached. Throws Fault `ServiceUnavailable` where none can, and `IncompleteBody` where
   * the client left.
   */
  async forward(passing: Passing, cells: readonly number[]): Promise<S3Response> {
    let cause: unknown
    const { client, health } = this.#parts
    // A cell of several nodes is asked at each of them, before it counts as lost.
    const turns = cells.flatMap((cell) => new Array<number>(Math.max(1, client.nodesOf(cell))).fill(cell))
    for (const [at, cell] of turns.entries()) {
      const node = { cell, origin: client.originOf(cell) }
      try {
        return await this.#traced(passing, node)
      } catch (error) {
        // What the client did, or this cell, says nothing of the other.
        if (!(error instanceof NoAnswer)) throw error
        if (node.origin !== undefined) client.lost(cell, node.origin)
        const hasOthers = error.isSent ? client.nodesOf(cell) > 1 : turns[at + 1] === cell
        if (!hasOthers) health.lost(cell)
        cause = error
        if (error.isSent) break
      }
    }
    throw new Fault('ServiceUnavailable', { message: 'The region that has this cannot be reached.' }, { cause })
  }

  async #traced(passing: Passing, node: Node): Promise<S3Response> {
    const { tracer, members } = this.#parts
    if (tracer?.current === undefined) return await this.#send(passing, node)
    const region = memberOf(members.membership, node.cell)?.region ?? ''
    const options = { kind: 'client', attributes: { 'meridian.peer': region } } as const
    return await tracer.inSpan('forward', options, (span) => this.#send(passing, node, span?.traceparent))
  }

  async #send(passing: Passing, node: Node, trace?: string): Promise<S3Response> {
    const half = (this.#parts.delayOf?.(node.cell) ?? 0) / 2
    const never = new AbortController().signal
    if (half > 0) await this.#parts.world.sleep(half, never)
    const response = await this.#exchange(passing, node, this.#open(passing, node, trace))
    if (half > 0) await this.#parts.world.sleep(half, never)
    const headers: Record<string, string> = {}
    for (const [name, value] of Object.entries(response.headers)) {
      if (typeof value === 'string' && !ofConnections.has(name) && name !== 'transfer-encoding') headers[name] = value
    }
    const isEmpty = passing.method === 'HEAD' || response.statusCode === 204 || response.statusCode === 304
    if (isEmpty) response.resume()
    return { status: response.statusCode ?? 502, headers, ...(!isEmpty && { body: response }) }
  }

  #open(
    { method, target, rawHeaders, remoteAddress, isSecure }: Passing,
    { cell, origin }: Node,
    trace: string | undefined,
  ): ClientRequest {
    const { client, secret, members, world, patience = defaultPatience } = this.#parts
    if (origin === undefined) throw new NoAnswer(false, { cause: new PeerUnreachable(cell) })
    const all = pairs(rawHeaders)
    const named = (wanted: string) => all.find(([name]) => name.toLowerCase() === wanted)?.[1]
    const connection = named('connection')
    // What the client says to be of its connection only stays here too.
    const local = new Set((connection ?? '').split(',').map((each) => each.trim().toLowerCase()))
    for (const name of ofRequests) local.delete(name)
    // Without chunks there are none, and Node does not send that.
    if (named('transfer-encoding') === undefined) local.add('trailer')
    const kept = all.filter(([name]) => {
      const lower = name.toLowerCase()
      return !ofConnections.has(lower) && !local.has(lower) && !ofCells.has(lower)
    })
    const isBare = named('content-length') === undefined && named('transfer-encoding') === undefined
    if (isBare) kept.push(['content-length', '0'])
    // HTTP/1.0 does without, and it is 1.1 that is spoken there.
    if (named('host') === undefined) kept.push(['host', ''])
    if (trace !== undefined) kept.push([traceHeader, trace])
    const meta: Meta = { remoteAddress, isSecure, isBare, ...(connection !== undefined && { connection }) }
    const { self, membership } = members
    const call = writeCall(newCall({ secret, world }, { ...self, epoch: membership.epoch }, cell))
    const said = `${call};${Buffer.from(JSON.stringify(meta)).toString('base64')}`
    const signature = secret.sign(headText(said, method, target, kept))
    return client.forward(origin, {
      method,
      path: target,
      timeout: patience.connect,
      headers: [...kept.flat(), forwardHeader, `${said};${signature}`],
    })
  }

  #exchange(
    { rawHeaders, stream, method }: Passing,
    { cell, origin }: Node,
    sent: ClientRequest,
  ): Promise<IncomingMessage> {
    const { patience = defaultPatience, health, client } = this.#parts
    const all = pairs(rawHeaders)
    const has = (wanted: string) => all.find(([name]) => name.toLowerCase() === wanted)?.[1].toLowerCase()
    const hasBody = (has('content-length') ?? '0') !== '0' || has('transfer-encoding') !== undefined
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    let isConnected = false
    let isFlowing = false
    const gone = (): void => {
      if (!stream.readableEnded) sent.destroy(new Fault('IncompleteBody'))
    }
    const pour = (): void => {
      isFlowing = true
      stream.pipe(sent)
    }
    sent.on('socket', (socket) => {
      const connected = (): void => {
        isConnected = true
        sent.setTimeout(patience.silence)
        // Not before: a body that began to flow cannot be sent to another region.
        if (!hasBody) sent.end()
        else if (has('expect') !== '100-continue') pour()
        else sent.flushHeaders()
      }
      if (socket.connecting) socket.once('connect', connected)
      else connected()
    })
    sent.on('continue', pour)
    sent.on('timeout', () => sent.destroy(new Silent()))
    const [isUp, isPassed] = [() => health.state(cell).isUp, () => client.originOf(cell) !== origin]
    endWhereAway(sent, patience.away, { isUp, isPassed })
    sent.on('error', (cause) => {
      stream.off('close', gone)
      // A kept connection may have been closed by the other end just now; what has no body is asked again.
      const isUnheard = sent.reusedSocket || cause instanceof Silent
      const mayRepeat = !isConnected || (!isFlowing && isUnheard && (method === 'GET' || method === 'HEAD'))
      reject(cause instanceof Fault ? cause : new NoAnswer(!mayRepeat, { cause }))
    })
    sent.on('response', (response) => {
      // As long as nobody reads it; who does is told.
      response.on('error', () => {})
      response.once('close', () => {
        stream.off('close', gone).unpipe(sent)
        // Answered before the body was read: the rest of it is nobody's.
        if (!sent.writableEnded) sent.destroy()
      })
      const refusal = response.headers[refusalHeader]
      if (refusal === undefined) return resolve(response)
      stream.off('close', gone)
      response.resume()
      reject(new NoAnswer(isFlowing, { cause: new Error(`the region does not answer this one: ${refusal}`) }))
    })
    stream.on('close', gone)
    return promise
  }
}
