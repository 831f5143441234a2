import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/**
 * Who is too slow to be waited for.
 *
 * P1  a body of which fewer than `bytesPerSecondMin` arrive, averaged over the window, while we wait for it, is given up.
 * P2  an answer of which nothing at all is taken during a window is given up.
 * P3  time during which we are the slow side counts against nobody.
 */
export interface PaceOptions {
  readonly windowMs: number
  readonly bytesPerSecondMin: number
}

interface Reading {
  readonly request: IncomingMessage
  readonly socket: Socket
  readonly giveUp: () => void
  since: number
  bytes: number
}

interface Writing {
  readonly response: ServerResponse
  since: number
  pending: number
}

/** Six looks a window: what is too slow is noticed at most a sixth of a window late. */
const looksPerWindow = 6

/** What the kernel has not taken yet; any change of it is progress. */
function pendingBytes(socket: Socket | null): number {
  const handle = (socket as { _handle?: { writeQueueSize?: number } } | null)?._handle
  return (handle?.writeQueueSize ?? 0) + (socket?.writableLength ?? 0)
}

export class Pace {
  readonly #options: PaceOptions
  readonly #readings = new Set<Reading>()
  readonly #writings = new Map<ServerResponse, Writing>()
  readonly #timer: NodeJS.Timeout

  constructor(options: PaceOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.#look(), options.windowMs / looksPerWindow).unref()
  }

  /** Watches a body from when somebody begins to read it until it is complete. */
  watchRequest(request: IncomingMessage, giveUp: () => void): void {
    const { socket } = request
    const reading = { request, socket, giveUp, since: performance.now(), bytes: socket.bytesRead }
    this.#readings.add(reading)
    request.once('close', () => this.#readings.delete(reading))
  }

  /** Watches an answer that the socket has not taken whole. */
  watchResponse(response: ServerResponse): void {
    if (this.#writings.has(response)) return
    const writing = { response, since: performance.now(), pending: pendingBytes(response.socket) }
    this.#writings.set(response, writing)
    response.once('close', () => this.#writings.delete(response))
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #look(): void {
    const now = performance.now()
    for (const reading of this.#readings) this.#lookAtReading(reading, now)
    for (const writing of this.#writings.values()) this.#lookAtWriting(writing, now)
  }

  #lookAtReading(reading: Reading, now: number): void {
    const { request, socket } = reading
    const waited = now - reading.since
    if (request.complete) {
      this.#readings.delete(reading)
      return
    }
    // Bytes that nobody has taken yet: we are the slow side (P3).
    const isOurs = request.readableLength > 0
    if (!isOurs && waited < this.#options.windowMs) return
    const received = socket.bytesRead - reading.bytes
    if (!isOurs && received < (this.#options.bytesPerSecondMin * waited) / 1_000) {
      this.#readings.delete(reading)
      reading.giveUp()
      return
    }
    reading.since = now
    reading.bytes = socket.bytesRead
  }

  #lookAtWriting(writing: Writing, now: number): void {
    const pending = pendingBytes(writing.response.socket)
    if (pending === 0 || pending !== writing.pending) {
      writing.since = now
      writing.pending = pending
      return
    }
    if (now - writing.since >= this.#options.windowMs) writing.response.destroy()
  }
}
