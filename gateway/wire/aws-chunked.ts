/**
 * AWS's chunking of bodies, signed or not, with or without trailers; taken off as the bytes come.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
 *
 * K1  what is handed on is exactly what the client framed, in order; any other stream ends in a Fault.
 * K2  a signed stream ends well only if every chunk's signature, and its trailers', follow from the one before.
 * K3  no more is kept than one line of the framing, whatever the size of chunks.
 */
import { createHash, type Hash, hash } from 'node:crypto'
import { emptySha256, isSameText, sha256Hex } from '#gateway/auth/signature.ts'
import type { ChunkSigning } from '#gateway/auth/sigv4.ts'
import { Fault } from '#src/errors.ts'
import type { Decoder, Emit } from './body.ts'

export interface ChunkedFraming {
  /** x-amz-decoded-content-length. */
  readonly length: number
  /** Undefined: chunks are not signed. */
  readonly signing: ChunkSigning | undefined
  readonly hasTrailers: boolean
  /** Names announced by x-amz-trailer, lower case. */
  readonly trailerNames: readonly string[]
}

/** `10000000000000;chunk-signature=` and 64 digits take 94 bytes. */
const headerMax = 128
/** Of all trailers together: checksums take about 100 bytes. */
const trailersMax = 4096
const lineFeed = 0x0a
const carriageReturn = 0x0d
const signatureMark = ';chunk-signature='
const hexadecimal = /^[0-9a-fA-F]{1,13}$/
const digest = /^[0-9a-f]{64}$/
const trailerName = /^[a-z0-9-]{1,128}$/

const malformed = (message: string): Fault =>
  new Fault('InvalidRequest', { message: `Malformed chunked body: ${message}` })
const badTrailer = (): Fault => new Fault('MalformedTrailerError')

type State = 'header' | 'bytes' | 'afterBytes' | 'final' | 'trailer' | 'done'

export class ChunkedDecoder implements Decoder {
  readonly trailers = new Map<string, string>()
  readonly #framing: ChunkedFraming
  #state: State = 'header'
  /** What has come of the current line, without its end. */
  #line = ''
  #remaining = 0
  #total = 0
  #trailerBytes = 0
  #extraBytes = 0
  #previous: string
  #claimed = ''
  #trailerSignature: string | undefined
  #hash: Hash | undefined

  constructor(framing: ChunkedFraming) {
    this.#framing = framing
    this.#previous = framing.signing?.seed ?? ''
  }

  write(chunk: Buffer, emit: Emit): void {
    for (let at = 0; at < chunk.length; ) {
      at = this.#state === 'bytes' ? this.#takeBytes(chunk, at, emit) : this.#takeLine(chunk, at)
    }
  }

  end(): void {
    if (this.#state !== 'done') throw new Fault('IncompleteBody')
  }

  #takeBytes(chunk: Buffer, at: number, emit: Emit): number {
    const end = Math.min(chunk.length, at + this.#remaining)
    const piece = at === 0 && end === chunk.length ? chunk : chunk.subarray(at, end)
    this.#remaining -= piece.length
    this.#total += piece.length
    if (this.#framing.signing !== undefined) this.#hashPiece(piece)
    emit(piece)
    if (this.#remaining === 0) this.#state = 'afterBytes'
    return end
  }

  /** A chunk that lies in one piece is hashed at once, which is faster. */
  #hashPiece(piece: Buffer): void {
    if (this.#hash === undefined && this.#remaining === 0) {
      this.#verifyChunk(hash('sha256', piece, 'hex'))
      return
    }
    this.#hash ??= createHash('sha256')
    this.#hash.update(piece)
    if (this.#remaining > 0) return
    const digestOfChunk = this.#hash.digest('hex')
    this.#hash = undefined
    this.#verifyChunk(digestOfChunk)
  }

  #takeLine(chunk: Buffer, at: number): number {
    if (this.#state === 'done') {
      this.#takeExtra(chunk[at])
      return at + 1
    }
    const max = this.#state === 'trailer' ? trailersMax : headerMax
    const found = chunk.indexOf(lineFeed, at)
    const end = found < 0 ? chunk.length : found
    if (this.#line.length + end - at > max) {
      throw this.#state === 'trailer' ? badTrailer() : malformed('a line of it is too long.')
    }
    this.#line += chunk.toString('latin1', at, end)
    if (found < 0) return chunk.length
    const line = this.#line
    this.#line = ''
    this.#endLine(line)
    return found + 1
  }

  #endLine(line: string): void {
    const hasReturn = line.charCodeAt(line.length - 1) === carriageReturn
    const text = hasReturn ? line.slice(0, -1) : line
    if (this.#state === 'trailer') {
      this.#takeTrailer(text)
      return
    }
    if (!hasReturn) throw malformed('a line of it does not end in CR LF.')
    if (this.#state === 'header') {
      this.#takeHeader(text)
      return
    }
    if (text !== '') throw malformed('a chunk is longer than it says.')
    this.#state = this.#state === 'final' ? 'done' : 'header'
  }

  #takeHeader(text: string): void {
    const mark = text.indexOf(';')
    const size = mark < 0 ? text : text.slice(0, mark)
    if (!hexadecimal.test(size)) throw malformed('a chunk has no size.')
    if (this.#framing.signing === undefined) {
      if (mark >= 0) throw malformed('an unsigned chunk has an extension.')
    } else {
      const signature = text.startsWith(signatureMark, mark) ? text.slice(mark + signatureMark.length) : ''
      if (mark < 0 || !digest.test(signature)) throw malformed('a chunk has no signature.')
      this.#claimed = signature
    }
    this.#remaining = Number.parseInt(size, 16)
    if (this.#total + this.#remaining > this.#framing.length) throw wrongLength()
    if (this.#remaining > 0) {
      this.#state = 'bytes'
      return
    }
    if (this.#framing.signing !== undefined) this.#verifyChunk(emptySha256)
    if (this.#total !== this.#framing.length) throw wrongLength()
    this.#state = this.#framing.hasTrailers ? 'trailer' : 'final'
  }

  /** K2 */
  #verifyChunk(digestOfChunk: string): void {
    const { signing } = this.#framing
    if (signing === undefined) return
    const { key, date, scope } = signing
    const text = `AWS4-HMAC-SHA256-PAYLOAD\n${date}\n${scope}\n${this.#previous}\n${emptySha256}\n${digestOfChunk}`
    if (!isSameText(key.sign(text), this.#claimed)) {
      throw new Fault('SignatureDoesNotMatch', { StringToSign: text, SignatureProvided: this.#claimed })
    }
    this.#previous = this.#claimed
  }

  /** Clients end trailers in CR LF, or like minio-go in LF CR LF; blank lines before the signature say nothing. */
  #takeTrailer(text: string): void {
    this.#trailerBytes += text.length + 2
    if (this.#trailerBytes > trailersMax) throw badTrailer()
    if (text === '') {
      const isOver =
        this.#framing.signing === undefined ||
        this.#trailerSignature !== undefined ||
        this.#framing.trailerNames.length === 0
      if (isOver) this.#endTrailers()
      return
    }
    const colon = text.indexOf(':')
    const name = text.slice(0, Math.max(colon, 0)).toLowerCase()
    const value = text.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')
    // Nothing follows the signature, since it would not be under it.
    if (!trailerName.test(name) || this.#trailerSignature !== undefined) throw badTrailer()
    if (name === 'x-amz-trailer-signature') {
      if (this.#framing.signing === undefined) throw badTrailer()
      this.#trailerSignature = value
      return
    }
    if (this.trailers.has(name) || !this.#framing.trailerNames.includes(name)) throw badTrailer()
    this.trailers.set(name, value)
  }

  #endTrailers(): void {
    const { signing, trailerNames } = this.#framing
    if (this.trailers.size !== trailerNames.length) throw badTrailer()
    if (signing !== undefined && (trailerNames.length > 0 || this.#trailerSignature !== undefined)) {
      const lines = [...this.trailers].map(([name, value]) => `${name}:${value}\n`).join('')
      const { key, date, scope } = signing
      const text = `AWS4-HMAC-SHA256-TRAILER\n${date}\n${scope}\n${this.#previous}\n${sha256Hex(lines)}`
      const claimed = this.#trailerSignature ?? ''
      if (!isSameText(key.sign(text), claimed)) {
        throw new Fault('SignatureDoesNotMatch', { StringToSign: text, SignatureProvided: claimed })
      }
    }
    this.#state = 'done'
  }

  /** minio-go ends unsigned trailers with one CR LF more than others. */
  #takeExtra(byte: number | undefined): void {
    const isAllowed = this.#framing.hasTrailers && this.#framing.signing === undefined
    const expected = this.#extraBytes === 0 ? carriageReturn : lineFeed
    this.#extraBytes++
    if (!isAllowed || this.#extraBytes > 2 || byte !== expected) throw malformed('bytes follow its end.')
  }
}

function wrongLength(): Fault {
  return new Fault('IncompleteBody', { message: 'The body is not as long as x-amz-decoded-content-length says' })
}
