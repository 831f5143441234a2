import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { close, listen } from '#gateway/listening.ts'
import { admit, type Refusal } from '#src/cluster/admission.ts'
import type { Members } from '#src/cluster/members.ts'
import type { Caller, Method } from '#src/cluster/transport.ts'
import { Fault } from '#src/errors.ts'
import type { Log } from '#src/telemetry/log.ts'
import type { Tracer } from '#src/telemetry/tracer.ts'
import type { World } from '#src/world.ts'
import { collect } from './body.ts'
import { answerHeader, type Call, callHeader, readCall, SeenCalls, traceHeader } from './call.ts'
import { answerContext, requestContext } from './client.ts'
import { type ForwardedRequest, isForwarded, readForwarded, refusalHeader } from './forwarding.ts'
import { BadSeal, type ClusterSecret, frameBytesMax, type Sealing, writeMessageId } from './sealing.ts'

export interface PeerServerParts {
  readonly secret: ClusterSecret
  readonly members: Members
  readonly world: World
  readonly log: Log
  readonly methods: readonly Method[]
  /** Carries out a request of a client that another region passed on. */
  readonly serve: (request: IncomingMessage, response: ServerResponse, forwarded: ForwardedRequest) => void
  /** Answers a region that wants to join, which is no member yet; absent: nobody joins here. */
  readonly join?: (request: Uint8Array) => Promise<Uint8Array>
  readonly tracer?: Tracer | undefined
}

/** Of what is asked; answers are as long as they are. */
const requestBytesMax = 16 * 2 ** 20
const headerBytesMax = 64 * 1024

/** Said at the end of each call, and mostly heard by nobody: making one takes longer than that. */
const callerLeft = new Error('the caller left')
const stopping = new Error('this cell stops')

/**
 * What a cell answers to others: on a port of its own, to whoever has the cluster's secret.
 *
 * Y10  nothing happens for a caller without the secret, for one that is no member, or was (C16); S3's keys open nothing here.
 */
export class PeerServer {
  readonly #parts: PeerServerParts
  readonly #methods: ReadonlyMap<string, Method>
  readonly #seen: SeenCalls
  readonly #server: Server
  readonly #calls = new Set<AbortController>()
  #isClosing = false

  constructor(parts: PeerServerParts) {
    this.#parts = parts
    this.#methods = new Map(parts.methods.map((each) => [each.name, each]))
    this.#seen = new SeenCalls(parts.world)
    this.#server = createServer({ maxHeaderSize: headerBytesMax, requestTimeout: 0, keepAliveTimeout: 120_000 })
    this.#server.on('request', (request, response) => this.#take(request, response))
    // Who passes a request on waits for the word of whoever reads its body; what else a client expects is passed over there.
    for (const event of ['checkContinue', 'checkExpectation']) {
      this.#server.on(event, (request: IncomingMessage, response: ServerResponse) => this.#take(request, response))
    }
    this.#server.maxHeadersCount = 1_000
  }

  async listen(host: string, port: number): Promise<AddressInfo> {
    return await listen(this.#server, host, port)
  }

  /**
   * Stops accepting. Calls that wait for something to happen are cut off, since whoever made them asks again; requests of clients that
   * were passed on, and bytes that are being read, have so many milliseconds to end.
   */
  async close(patience: number): Promise<void> {
    this.#isClosing = true
    for (const each of this.#calls) each.abort(stopping)
    await close(this.#server, patience)
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    // On a connection that was in use: as if it had been closed before.
    if (this.#isClosing) {
      response.destroy()
      return
    }
    // Reading it takes that from the request.
    const isPassedOn = isForwarded(request)
    const done = isPassedOn ? this.#forwarded(request, response) : this.#call(request, response)
    done.catch((error: unknown) => {
      if (!(error instanceof BadSeal)) this.#parts.log.error('a call of a peer failed', { error })
      if (response.headersSent) response.destroy()
      else refuse(response, isPassedOn ? 'unavailable' : undefined)
    })
  }

  async #forwarded(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const forwarded = readForwarded(request, this.#parts.secret)
    if (forwarded === undefined || !this.#isFor(forwarded.call)) return refuse(response, 'unknown')
    const caller = await this.#admit(forwarded.call)
    if (typeof caller === 'string') return refuse(response, caller)
    this.#parts.serve(request, response, { ...forwarded, region: caller.region })
  }

  #isFor(call: Call): boolean {
    return call.target === this.#parts.members.self.cell && this.#seen.take(call)
  }

  /** Who joined, or came back, may ask before this process has seen that: what the store has decides. */
  async #admit(call: Call): Promise<Caller | Refusal> {
    const { members } = this.#parts
    const caller = admit(members.membership, call)
    if (typeof caller !== 'string') return caller
    if (call.epoch > members.membership.epoch) await members.refresh()
    const { membership, isRoot } = members
    const isOld = call.epoch <= membership.epoch
    const again = admit(membership, call)
    return again === 'unknown' && isRoot && isOld ? 'forgotten' : again
  }

  async #call(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { secret } = this.#parts
    const text = request.headers[callHeader]
    const call = typeof text === 'string' ? readCall(text) : undefined
    const name = (request.url ?? '').slice('/call/'.length)
    if (call === undefined || typeof text !== 'string' || request.url !== `/call/${name}`) return refuse(response)
    const body = await collect(request, requestBytesMax)
    // First the seal: the name of a call that was made up is not remembered.
    const { bytes } = secret.opening(call.id, requestContext(text, name)).one(body)
    const isJoin = name === 'join' && this.#parts.join !== undefined
    if (!(isJoin ? this.#seen.take(call) : this.#isFor(call))) return refuse(response)
    const id = secret.nextId()
    const sealing = secret.sealing(id, answerContext(text, name))
    response.writeHead(200, { [answerHeader]: writeMessageId(id) })
    if (isJoin && this.#parts.join !== undefined) {
      await answer(response, sealing, this.#parts.join(bytes), this.#parts.log, name)
      return
    }
    const caller = await this.#admit(call)
    if (typeof caller === 'string') return sayRefusal(response, sealing, caller)
    if (this.#parts.members.isRemoved) return sayRefusal(response, sealing, 'unknown')
    const { tracer } = this.#parts
    const trace = request.headers[traceHeader]
    const run = () => this.#run(name, bytes, caller, response, sealing)
    if (tracer === undefined || trace === undefined) return await run()
    const attributes = { 'meridian.peer': caller.region }
    // Nothing but a name for what is told: it is not sealed, and need not be.
    await tracer.spanning(tracer.resume(`peer answer ${name}`, trace, { kind: 'server', attributes }), run)
  }

  async #run(
    name: string,
    bytes: Uint8Array,
    caller: Caller,
    response: ServerResponse,
    sealing: Sealing,
  ): Promise<void> {
    const method = this.#methods.get(name)
    const left = new AbortController()
    this.#calls.add(left)
    response.once('close', () => {
      this.#calls.delete(left)
      left.abort(callerLeft)
    })
    const result =
      method?.answer(bytes, caller, left.signal) ??
      Promise.reject(new Fault('NotImplemented', { message: `This cell has no method ${name}.` }))
    await answer(response, sealing, result, this.#parts.log, name, left.signal)
  }
}

/** With a reason, for whoever passed a request of a client on: that is not to hear this as the answer. */
function refuse(response: ServerResponse, reason?: Refusal | 'unavailable'): void {
  const headers = {
    connection: 'close',
    'content-length': '0',
    ...(reason !== undefined && { [refusalHeader]: reason }),
  }
  response.writeHead(403, headers).end()
}

function sayRefusal(response: ServerResponse, sealing: Sealing, refusal: Refusal): void {
  response.end(sealing.frame('refusal', Buffer.from(refusal)))
}

async function answer(
  response: ServerResponse,
  sealing: Sealing,
  result: Promise<Uint8Array> | AsyncIterable<Uint8Array>,
  log: Log,
  name: string,
  signal?: AbortSignal,
): Promise<void> {
  try {
    if (result instanceof Promise) {
      const bytes = await result
      // Most answers fit one frame.
      const tail = frameBytesMax * Math.floor(Math.max(0, bytes.length - 1) / frameBytesMax)
      await write(response, sealing, bytes.subarray(0, tail))
      response.end(sealing.frame('last', bytes.subarray(tail)))
      return
    }
    for await (const piece of result) await write(response, sealing, piece)
    response.end(sealing.frame('last', new Uint8Array(0)))
  } catch (error) {
    if (signal?.aborted === true || response.destroyed) {
      response.destroy()
      return
    }
    if (!(error instanceof Fault)) {
      log.error('a call of a peer failed', { method: name, error })
      response.destroy()
      return
    }
    const { code, details } = error
    response.end(sealing.frame('fault', Buffer.from(JSON.stringify({ code, details }))))
  }
}

async function write(response: ServerResponse, sealing: Sealing, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; at += frameBytesMax) {
    if (response.destroyed) throw callerLeft
    if (!response.write(sealing.frame('more', bytes.subarray(at, at + frameBytesMax)))) await drained(response)
  }
}

const drained = (response: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done).off('close', done)
      resolve()
    }
    response.on('drain', done).on('close', done)
  })
