import { Agent, type ClientRequest, type IncomingMessage, request as open } from 'node:http'
import type { Duplex } from 'node:stream'
import { finalRefusal, type Refusal, Refused } from '#src/cluster/admission.ts'
import type { Members } from '#src/cluster/members.ts'
import { OutOfPatience } from '#src/cluster/patience.ts'
import { PeerUnreachable, type Transport } from '#src/cluster/transport.ts'
import { Fault, type FaultCode, type FaultDetails } from '#src/errors.ts'
import { memberOf, originsOf } from '#src/model/region.ts'
import type { Span, SpanOptions } from '#src/telemetry/span.ts'
import type { Tracer } from '#src/telemetry/tracer.ts'
import { collect } from './body.ts'
import { answerHeader, type Call, type Calling, callHeader, newCall, traceHeader, writeCall } from './call.ts'
import { type Frame, type Opening, readMessageId } from './sealing.ts'

export interface ClientParts extends Calling {
  readonly members: Members
  /** Milliseconds that a message to that cell and its answer are held back together, to play a far one. Absent: none. */
  readonly delayOf?: (cell: number) => number
  readonly tracer?: Tracer | undefined
  /** How long a connection, or the next bytes of an answer, may take, in milliseconds. */
  readonly patience?: { readonly connect: number; readonly silence: number }
}

const defaultPatience = { connect: 3_000, silence: 40_000 }
const socketsMost = 256
const answerBytesMost = 64 * 2 ** 20

interface Answer {
  readonly response: IncomingMessage
  readonly opening: Opening
}

interface Address {
  readonly hostname: string
  readonly port: number
}

function addressOf(origin: string): Address {
  const { hostname, port } = new URL(origin)
  return { hostname: hostname.replace(/^\[|\]$/g, ''), port: Number(port === '' ? 80 : port) }
}

/** Whether nobody was there to hear it. */
const isUnheard = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ECONNREFUSED' || error.code === 'EHOSTUNREACH')

/** Whether the way to a peer failed, or it was not there, was silent, or did not know the caller yet: asked again, it may answer. */
export const isPassing = (error: unknown): boolean =>
  (error instanceof PeerUnreachable && finalRefusal(error) === undefined) ||
  error instanceof OutOfPatience ||
  (error instanceof Error && 'code' in error && passing.has(String(error.code)))

/** Of a name that is not known yet as well: whoever starts a cluster starts its regions together. */
const passing = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'EHOSTUNREACH', 'EHOSTDOWN', 'ENETUNREACH', 'ETIMEDOUT'],
  ...['ENOTFOUND', 'EAI_AGAIN'],
])

/** What the answer to a call is sealed for. */
export const answerContext = (call: string, method: string): string => `answer\n${method}\n${call}`
export const requestContext = (call: string, method: string): string => `request\n${method}\n${call}`

/**
 * Node takes its listeners off a connection when an answer has ended. One that is given up in the turn in which the answer's last bytes
 * were read fails after that, and an error that nobody listens to ends the process.
 */
class PeerAgent extends Agent {
  override createConnection(...asked: Parameters<Agent['createConnection']>): Duplex | null | undefined {
    return super.createConnection(...asked)?.on('error', () => {})
  }
}

/**
 * The transport between cells over HTTP.
 *
 * Y19  cells hear of each other however many clients are slow.
 * Y21  of several nodes of a cell one that failed is asked last, by whoever failed there, and by nobody who only hears of it later.
 */
export class PeerClient implements Transport {
  readonly #parts: ClientParts
  /** By cell: the origin of a node that answered. */
  readonly #good = new Map<number, string>()
  readonly #calls = new PeerAgent({ keepAlive: true, maxSockets: socketsMost, maxFreeSockets: 16 })
  /** Whoever reads or sends slowly keeps one for as long: they are as many as clients, which the gateway limits (Y19). */
  readonly #streams = new PeerAgent({ keepAlive: true, maxFreeSockets: 16 })
  readonly #passing = new PeerAgent({ keepAlive: true, maxFreeSockets: 16 })

  constructor(parts: ClientParts) {
    this.#parts = parts
  }

  async ask(cell: number, method: string, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const { tracer } = this.#parts
    const ask = (trace?: string) =>
      this.#whole(cell, () => this.#send(this.#calls, cell, method, request, signal, trace), signal)
    if (tracer?.current === undefined) return await ask()
    return await tracer.inSpan(`peer call ${method}`, this.#spanOf(cell), (span) => ask(span?.traceparent))
  }

  stream(cell: number, method: string, request: Uint8Array, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    return this.#traced(
      cell,
      method,
      (trace) => this.#send(this.#streams, cell, method, request, signal, trace),
      signal,
    )
  }

  streamFrom(origin: string, method: string, request: Uint8Array, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const { cell } = this.#parts.members.self
    const send = (trace?: string) =>
      this.#sendTo(this.#streams, addressOf(origin), cell, method, request, signal, trace)
    return this.#traced(cell, method, send, signal)
  }

  #traced(
    cell: number,
    method: string,
    send: (trace?: string) => Promise<Answer>,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const { tracer } = this.#parts
    if (tracer?.current === undefined) return this.#stream(cell, send, signal)
    return tracer.reading(`peer call ${method}`, this.#spanOf(cell), (span) => {
      const pieces = this.#stream(cell, () => send(span?.traceparent), signal)
      return span === undefined ? pieces : endedBy(signal, pieces, span)
    })
  }

  #spanOf(cell: number): SpanOptions {
    const region = memberOf(this.#parts.members.membership, cell)?.region ?? ''
    return { kind: 'client', attributes: { 'meridian.peer': region } }
  }

  /** Read as a whole, which takes a fraction of what reading a stream does. */
  async #whole(cell: number, send: () => Promise<Answer>, signal: AbortSignal): Promise<Uint8Array> {
    try {
      const { response, opening } = await this.#delayed(cell, send, signal)
      const pieces: Uint8Array[] = []
      for (const frame of opening.all(await collect(response, answerBytesMost))) {
        pieces.push(frame.kind === 'more' || frame.kind === 'last' ? frame.bytes : await this.#thrown(cell, frame))
      }
      const [only] = pieces
      return pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces)
    } catch (cause) {
      throw failureOf(cell, cause, signal)
    }
  }

  async *#stream(cell: number, send: () => Promise<Answer>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    let answer: Answer | undefined
    let isWhole = false
    try {
      answer = await this.#delayed(cell, send, signal)
      // Ended with its last frame, an iterator of Node's own would end the connection too.
      for await (const frame of answer.opening.frames(answer.response.iterator({ destroyOnReturn: false }))) {
        isWhole = frame.kind !== 'more'
        if (frame.kind === 'fault' || frame.kind === 'refusal') await this.#thrown(cell, frame)
        if (frame.bytes.length > 0) yield frame.bytes
      }
    } catch (cause) {
      throw failureOf(cell, cause, signal)
    } finally {
      // Behind the last frame only the coding's end is left; read, the connection is good for the next call. Whoever stops reading
      // earlier leaves on it what may still come.
      if (isWhole || answer?.response.complete === true) answer?.response.resume()
      else answer?.response.destroy()
    }
  }

  async #delayed(cell: number, send: () => Promise<Answer>, signal: AbortSignal): Promise<Answer> {
    const half = (this.#parts.delayOf?.(cell) ?? 0) / 2
    if (half > 0) await this.#parts.world.sleep(half, signal)
    const answer = await send()
    try {
      if (half > 0) await this.#parts.world.sleep(half, signal)
      return answer
    } catch (error) {
      answer.response.destroy()
      throw error
    }
  }

  close(): void {
    for (const each of [this.#calls, this.#streams, this.#passing]) each.destroy()
  }

  /** A request of a client, passed on as it is to the node of that origin; among the headers are those that say who passes it on. */
  forward(
    origin: string,
    options: { method: string; path: string; headers: readonly string[]; timeout: number },
  ): ClientRequest {
    const { hostname, port } = addressOf(origin)
    const { method, path, headers, timeout } = options
    // Node takes names and values in one list, as they came, but its type does not say so.
    const list = headers as unknown as Record<string, string>
    return open({ host: hostname, port, method, path, headers: list, agent: this.#passing, setHost: false, timeout })
  }

  /** A cell of several nodes has an origin for each; the one that answered last is asked first. */
  #originsOf(cell: number): readonly string[] {
    const member = memberOf(this.#parts.members.membership, cell)
    if (member === undefined || member.state === 'removed') {
      throw new PeerUnreachable(cell, { cause: new Error('it is no member') })
    }
    const origins = originsOf(member)
    const first = Math.max(0, origins.indexOf(this.#good.get(cell) ?? ''))
    return first === 0 ? origins : [...origins.slice(first), ...origins.slice(0, first)]
  }

  async #send(
    agent: Agent,
    cell: number,
    method: string,
    body: Uint8Array,
    signal: AbortSignal,
    trace: string | undefined,
  ): Promise<Answer> {
    let cause: unknown
    for (const origin of this.#originsOf(cell)) {
      try {
        const answer = await this.#sendTo(agent, addressOf(origin), cell, method, body, signal, trace)
        this.#good.set(cell, origin)
        return answer
      } catch (error) {
        // Only what certainly did not arrive is sent to another node; after all else, whoever asks decides.
        if (!signal.aborted || signal.reason instanceof OutOfPatience) this.lost(cell, origin)
        if (!isUnheard(error)) throw error
        cause = error
      }
    }
    throw cause
  }

  /** How many nodes a cell has, as far as is known. */
  nodesOf(cell: number): number {
    const member = memberOf(this.#parts.members.membership, cell)
    return member === undefined || member.state === 'removed' ? 0 : originsOf(member).length
  }

  /** The node of the cell that is asked next; undefined: it is no member. */
  originOf(cell: number): string | undefined {
    return this.nodesOf(cell) === 0 ? undefined : this.#originsOf(cell)[0]
  }

  /** That node did not answer: where it is the one to be asked next, the one after it is. */
  lost(cell: number, origin: string): void {
    if (this.nodesOf(cell) < 2) return
    const [first, second] = this.#originsOf(cell)
    if (second !== undefined && first === origin) this.#good.set(cell, second)
  }

  async #sendTo(
    agent: Agent,
    address: Address,
    cell: number,
    method: string,
    body: Uint8Array,
    signal: AbortSignal,
    trace: string | undefined,
  ): Promise<Answer> {
    const { self, membership } = this.#parts.members
    const call = newCall(this.#parts, { ...self, epoch: membership.epoch }, cell)
    return await exchange(this.#parts, { address, agent, call, method, body, signal, trace })
  }

  /** Throws what a cell says instead of an answer. */
  async #thrown(cell: number, { kind, bytes }: Frame): Promise<never> {
    if (kind === 'fault') throw faultOf(bytes)
    const { members } = this.#parts
    const refusal = Buffer.from(bytes).toString('utf8') as Refusal
    // Sealed by a member: nobody else can put a cell out of service.
    if (refusal === 'removed') await members.wasRemoved()
    // One that was the root, and has not heard that it is no more, may say so too.
    throw new Refused(refusal === 'forgotten' && cell !== members.membership.root ? 'unknown' : refusal)
  }
}

/** Whoever has read enough may give the signal, and never come back for the end. */
async function* endedBy(
  signal: AbortSignal,
  pieces: AsyncIterable<Uint8Array>,
  span: Span,
): AsyncGenerator<Uint8Array> {
  const end = (): void => span.end()
  signal.addEventListener('abort', end, { once: true })
  try {
    yield* pieces
  } finally {
    signal.removeEventListener('abort', end)
  }
}

interface Exchanging {
  readonly address: Address
  readonly agent: Agent
  readonly call: Call
  readonly method: string
  readonly body: Uint8Array
  readonly signal: AbortSignal
  /** As `traceparent` has it; absent: it is not traced. */
  readonly trace?: string | undefined
}

async function exchange(
  { secret, patience = defaultPatience }: Pick<ClientParts, 'secret' | 'patience'>,
  { address: { hostname, port }, agent, call, method, body, signal, trace }: Exchanging,
): Promise<Answer> {
  const said = writeCall(call)
  const sealed = secret.sealing(call.id, requestContext(said, method)).frame('last', body)
  const length = String(sealed.length)
  const headers = { [callHeader]: said, 'content-length': length, ...(trace !== undefined && { [traceHeader]: trace }) }
  const path = `/call/${method}`
  const timeout = patience.connect
  signal.throwIfAborted()
  const sent = open({ host: hostname, port, method: 'POST', path, headers, agent, timeout })
  endWith(sent, signal)
  const response = await answered(sent, sealed, patience)
  const name = response.headers[answerHeader]
  const id = typeof name === 'string' ? readMessageId(name) : undefined
  if (id === undefined) {
    response.destroy()
    throw new Error(`the peer answered ${response.statusCode} and nothing of its own`)
  }
  return { response, opening: secret.opening(id, answerContext(said, method)) }
}

/**
 * Ends a request with a signal. Node, given the signal, would also give it to the connection that it opens for the request: when
 * the request is long over, that breaks whatever uses the connection by then, or, if nothing does, the process.
 */
function endWith(sent: ClientRequest, signal: AbortSignal): void {
  let response: IncomingMessage | undefined
  sent.once('response', (came) => {
    response = came
  })
  const abort = (): void => {
    // All of it has come, and the connection may be another call's by now.
    if (response?.complete === true) return
    sent.destroy(signal.reason instanceof Error ? signal.reason : new Error('it was given up'))
  }
  signal.addEventListener('abort', abort, { once: true })
  sent.once('close', () => signal.removeEventListener('abort', abort))
}

/** Asks one who is known by address only, as long as this cell is no member. Throws the Fault that it answers. */
export async function askStranger(
  parts: Calling & Pick<ClientParts, 'patience'> & { readonly origin: string; readonly incarnation: string },
  method: string,
  body: Uint8Array,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const agent = new PeerAgent()
  const call = newCall(parts, { cell: 0, incarnation: parts.incarnation, epoch: 0 }, 0)
  try {
    const exchanging = { address: addressOf(parts.origin), agent, call, method, body, signal }
    const { response, opening } = await exchange(parts, exchanging)
    const pieces: Uint8Array[] = []
    for (const { kind, bytes } of opening.all(await collect(response, answerBytesMost))) {
      if (kind === 'fault') throw faultOf(bytes)
      if (kind === 'refusal') throw new Error(`the cell at ${parts.origin} refused to answer`)
      pieces.push(bytes)
    }
    return Buffer.concat(pieces)
  } finally {
    agent.destroy()
  }
}

function answered(sent: ClientRequest, body: Uint8Array, patience: typeof defaultPatience): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    sent.on('error', reject)
    sent.on('response', (response) => {
      // Between two reads nobody listens, and a connection that breaks then would end the process; the next read throws it.
      response.on('error', () => {})
      resolve(response)
    })
    sent.on('socket', (socket) => {
      if (socket.connecting) socket.once('connect', () => sent.setTimeout(patience.silence))
      else sent.setTimeout(patience.silence)
    })
    sent.on('timeout', () => sent.destroy(Object.assign(new Error('the peer is silent'), { code: 'ETIMEDOUT' })))
    sent.end(body)
  })
}

/** What whoever asked gets to know of it. */
function failureOf(cell: number, cause: unknown, signal: AbortSignal): unknown {
  if (cause instanceof Fault) return cause
  return signal.aborted ? signal.reason : new PeerUnreachable(cell, { cause })
}

function faultOf(bytes: Uint8Array): Error {
  const { code, details } = JSON.parse(Buffer.from(bytes).toString('utf8')) as {
    code: FaultCode
    details: FaultDetails
  }
  return new Fault(code, details)
}
