/**
 * Request bodies, from the socket to whoever reads them.
 *
 * B1  a body ends without a Fault only if it has the length, hash, signatures and trailers that its request declared.
 * B2  streaming keeps no more than what the socket gave at once; a slow reader slows the client.
 */
import { createHash, type Hash, hash } from 'node:crypto'
import type { Readable } from 'node:stream'
import type { RequestBody } from '#gateway/operations/operation.ts'
import { Fault } from '#src/errors.ts'
import { passBuffer } from '#src/garbage.ts'

export type Emit = (piece: Buffer) => void

/** Takes a framing off. Throws a Fault as soon as it is wrong. */
export interface Decoder {
  write(chunk: Buffer, emit: Emit): void
  /** Nothing more comes. */
  end(): void
  readonly trailers: ReadonlyMap<string, string>
}

const noTrailers: ReadonlyMap<string, string> = new Map()

/** Bytes as they are, counted, and hashed where the request says what they hash to. */
export class PlainDecoder implements Decoder {
  readonly trailers = noTrailers
  readonly #length: number | undefined
  readonly #sha256: string | undefined
  #seen = 0
  #hash: Hash | undefined
  #digest: string | undefined

  constructor(length: number | undefined, sha256: string | undefined) {
    this.#length = length
    this.#sha256 = sha256
  }

  write(chunk: Buffer, emit: Emit): void {
    this.#seen += chunk.length
    if (this.#length !== undefined && this.#seen > this.#length) {
      throw new Fault('InvalidRequest', { message: 'The body is longer than Content-Length says' })
    }
    if (this.#sha256 !== undefined) {
      if (chunk.length === this.#length) {
        this.#digest = hash('sha256', chunk, 'hex')
      } else {
        this.#hash ??= createHash('sha256')
        this.#hash.update(chunk)
      }
    }
    emit(chunk)
  }

  end(): void {
    if (this.#length !== undefined && this.#seen < this.#length) throw new Fault('IncompleteBody')
    if (this.#sha256 === undefined) return
    const computed = this.#digest ?? (this.#hash ?? createHash('sha256')).digest('hex')
    if (computed !== this.#sha256) {
      throw new Fault('XAmzContentSHA256Mismatch', {
        ClientComputedContentSHA256: this.#sha256,
        S3ComputedContentSHA256: computed,
      })
    }
  }
}

/** What a reader gets where the source fails: the client went away, or its framing broke. */
function interrupted(cause: unknown): Fault {
  return cause instanceof Fault ? cause : new Fault('IncompleteBody', {}, { cause })
}

const nothing = Buffer.alloc(0)

export const emptyBody: RequestBody = {
  length: 0,
  async *stream() {},
  collect: async () => nothing,
  pieces: async () => [],
  trailers: () => noTrailers,
}

export class StreamedBody implements RequestBody {
  readonly length: number | undefined
  readonly #source: Readable
  readonly #decoder: Decoder
  #isTaken = false

  constructor(source: Readable, decoder: Decoder, length: number | undefined) {
    this.#source = source
    this.#decoder = decoder
    this.length = length
  }

  trailers(): ReadonlyMap<string, string> {
    return this.#decoder.trailers
  }

  #take(): void {
    if (this.#isTaken) throw new Error('a request body has one reader')
    this.#isTaken = true
  }

  /** Leaves the connection alone when the reader stops early: an error can still be answered on it. */
  async *stream(): AsyncIterable<Uint8Array> {
    this.#take()
    const chunks = this.#source.iterator({ destroyOnReturn: false })
    const pieces: Buffer[] = []
    const emit = (piece: Buffer): void => {
      pieces.push(piece)
    }
    try {
      for (;;) {
        const chunk = await next(chunks)
        if (chunk === undefined) break
        this.#decoder.write(chunk, emit)
        yield* pieces
        pieces.length = 0
        passBuffer(chunk.length)
      }
      this.#decoder.end()
    } finally {
      await chunks.return?.()
    }
  }

  async collect(bytesMax: number): Promise<Uint8Array> {
    const pieces = await this.pieces(bytesMax)
    const [first] = pieces
    return first !== undefined && pieces.length === 1 ? first : Buffer.concat(pieces)
  }

  /** By events, not iteration: for small bodies an iterator costs more than the bytes. */
  async pieces(bytesMax: number): Promise<readonly Uint8Array[]> {
    this.#take()
    if (this.length !== undefined && this.length > bytesMax) throw tooLarge(this.length, bytesMax)
    const source = this.#source
    if (source.destroyed) throw interrupted(source.errored)
    return await new Promise<readonly Uint8Array[]>((resolve, reject) => {
      const pieces: Buffer[] = []
      let size = 0
      const stop = (): void => {
        source.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose)
        source.pause()
      }
      const fail = (cause: unknown): void => {
        stop()
        reject(cause)
      }
      const emit = (piece: Buffer): void => {
        size += piece.length
        if (size > bytesMax) throw tooLarge(size, bytesMax)
        pieces.push(piece)
      }
      const onData = (chunk: Buffer): void => {
        try {
          this.#decoder.write(chunk, emit)
        } catch (cause) {
          fail(cause)
        }
      }
      const onEnd = (): void => {
        try {
          this.#decoder.end()
        } catch (cause) {
          fail(cause)
          return
        }
        // The listeners go with the request: nothing but its close is to come.
        resolve(pieces)
      }
      const onError = (cause: unknown): void => fail(interrupted(cause))
      const onClose = (): void => {
        if (!source.readableEnded) fail(interrupted(undefined))
      }
      source.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose)
    })
  }
}

async function next(chunks: AsyncIterator<Buffer>): Promise<Buffer | undefined> {
  try {
    const step = await chunks.next()
    return step.done ? undefined : step.value
  } catch (cause) {
    throw interrupted(cause)
  }
}

function tooLarge(size: number, max: number): Fault {
  return new Fault('EntityTooLarge', { ProposedSize: size, MaxSizeAllowed: max })
}
