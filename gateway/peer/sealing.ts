import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'

/**
 * What goes between cells, sealed by the cluster's secret: AES-256-GCM, with keys of whoever seals, each for so many messages.
 *
 * A message is frames: 4 bytes of length, the sealed bytes, 16 bytes of tag. A frame's first byte says what it is; its nonce is the
 * message's number and its own.
 *
 * Y7  a frame that was changed, left out, repeated, put elsewhere or taken from another message opens nothing.
 * Y8  a message that was cut short is seen to be: its last frame says that it is the last.
 */
export type Kind = 'more' | 'last' | 'fault' | 'refusal'

const kinds: readonly Kind[] = ['more', 'last', 'fault', 'refusal']
const cipher = 'aes-256-gcm'
const tagBytes = 16
const lengthBytes = 4
const sessionBytes = 16
/** Sealed under one key. Making one takes as long as a short message. */
const messagesPerSession = 2 ** 20
/** Keys of others that are remembered. */
const sessionsMost = 256
/** Of one frame; a larger message is several. */
export const frameBytesMax = 256 * 1024
/** What a frame may claim to be: a request is one, and carries what a method takes. */
const sealedBytesMax = 32 * 2 ** 20

/** Under what a message is sealed, and how it is told from all others: no two are the same. */
export interface MessageId {
  /** Made by chance by whoever seals; hexadecimal. */
  readonly session: string
  readonly number: number
}

const form = /^([0-9a-f]{32}) (\d{1,9})$/

export const writeMessageId = ({ session, number }: MessageId): string => `${session} ${number}`

export function readMessageId(text: string): MessageId | undefined {
  const [, session, number] = form.exec(text) ?? []
  return session === undefined ? undefined : { session, number: Number(number) }
}

/** The secret that all nodes of a cluster share, made into keys: Node takes key objects in a quarter of the time that bytes cost. */
export class ClusterSecret {
  readonly #sealing: KeyObject
  readonly #signing: KeyObject
  /** By session, those used last behind those used before. */
  readonly #keys = new Map<string, KeyObject>()
  #session = ''
  #number = messagesPerSession

  constructor(secret: string) {
    const key = (purpose: string) =>
      createSecretKey(new Uint8Array(hkdfSync('sha256', secret, '', `meridian peer 2 ${purpose}`, 32)))
    this.#sealing = key('sealing')
    this.#signing = key('signing')
  }

  /** Of a message that is to be sealed, or signed, here. */
  nextId(): MessageId {
    if (this.#number === messagesPerSession) {
      this.#session = randomBytes(sessionBytes).toString('hex')
      this.#number = 0
    }
    return { session: this.#session, number: this.#number++ }
  }

  /** `id`: for this message alone; `context`: what the message belongs to, known to both ends. */
  sealing(id: MessageId, context: string): Sealing {
    return new Sealing(this.#keyOf(id), id.number, Buffer.from(context))
  }

  opening(id: MessageId, context: string): Opening {
    return new Opening(this.#keyOf(id), id.number, Buffer.from(context))
  }

  /** Of what is sent in clear. */
  sign(text: string): string {
    return createHmac('sha256', this.#signing).update(text).digest('hex')
  }

  isSigned(text: string, signature: string): boolean {
    const [made, given] = [Buffer.from(this.sign(text)), Buffer.from(signature)]
    return made.length === given.length && timingSafeEqual(made, given)
  }

  #keyOf({ session }: MessageId): KeyObject {
    const known = this.#keys.get(session)
    this.#keys.delete(session)
    const key = known ?? createSecretKey(createHmac('sha256', this.#sealing).update(session).digest())
    this.#keys.set(session, key)
    for (const [oldest] of this.#keys) {
      if (this.#keys.size <= sessionsMost) break
      this.#keys.delete(oldest)
    }
    return key
  }
}

const nonceOf = (message: number, frame: number): Uint8Array => {
  const nonce = Buffer.alloc(12)
  nonce.writeUInt32BE(message, 4)
  nonce.writeUInt32BE(frame, 8)
  return nonce
}

export class Sealing {
  readonly #key: KeyObject
  readonly #message: number
  readonly #context: Uint8Array
  #frame = 0

  constructor(key: KeyObject, message: number, context: Uint8Array) {
    this.#key = key
    this.#message = message
    this.#context = context
  }

  frame(kind: Kind, bytes: Uint8Array): Uint8Array {
    const nonce = nonceOf(this.#message, this.#frame++)
    const sealing = createCipheriv(cipher, this.#key, nonce, { authTagLength: tagBytes })
    sealing.setAAD(this.#context)
    const head = Buffer.alloc(lengthBytes)
    head.writeUInt32BE(1 + bytes.length)
    const sealed = [sealing.update(Uint8Array.of(kinds.indexOf(kind))), sealing.update(bytes), sealing.final()]
    return Buffer.concat([head, ...sealed, sealing.getAuthTag()])
  }
}

export interface Frame {
  readonly kind: Kind
  readonly bytes: Uint8Array
}

/** The message is not what its sender sealed, or the sender has another secret. */
export class BadSeal extends Error {}

export class Opening {
  readonly #key: KeyObject
  readonly #message: number
  readonly #context: Uint8Array
  #frame = 0

  constructor(key: KeyObject, message: number, context: Uint8Array) {
    this.#key = key
    this.#message = message
    this.#context = context
  }

  /** The frames of a stream, up to the last. Throws BadSeal; ends only behind a frame that is not `more`. */
  async *frames(source: AsyncIterable<Uint8Array>): AsyncGenerator<Frame> {
    let pieces: Uint8Array[] = []
    let size = 0
    let wanted = lengthBytes
    for await (const piece of source) {
      pieces.push(piece)
      size += piece.length
      while (size >= wanted) {
        const joined = pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces)
        const length = sealedLength(joined)
        wanted = lengthBytes + length + tagBytes
        if (size < wanted) {
          pieces = [joined]
          break
        }
        const frame = this.#open(joined.subarray(lengthBytes, wanted))
        yield frame
        if (frame.kind !== 'more') return
        pieces = [joined.subarray(wanted)]
        size -= wanted
        wanted = lengthBytes
      }
    }
    throw new BadSeal('a message that was cut short')
  }

  /** As `frames`, of a message that is here as a whole. */
  all(bytes: Uint8Array): readonly Frame[] {
    const found: Frame[] = []
    let rest = bytes
    while (rest.length >= lengthBytes) {
      const end = lengthBytes + sealedLength(rest) + tagBytes
      if (rest.length < end) break
      const frame = this.#open(rest.subarray(lengthBytes, end))
      found.push(frame)
      if (frame.kind !== 'more') return found
      rest = rest.subarray(end)
    }
    throw new BadSeal('a message that was cut short')
  }

  /** A message of one frame. */
  one(bytes: Uint8Array): Frame {
    if (bytes.length < lengthBytes || bytes.length !== lengthBytes + sealedLength(bytes) + tagBytes) {
      throw new BadSeal('not a message of one frame')
    }
    return this.#open(bytes.subarray(lengthBytes))
  }

  #open(sealed: Uint8Array): Frame {
    const nonce = nonceOf(this.#message, this.#frame++)
    const opening = createDecipheriv(cipher, this.#key, nonce, { authTagLength: tagBytes })
    opening.setAAD(this.#context)
    opening.setAuthTag(sealed.subarray(sealed.length - tagBytes))
    const plain = opening.update(sealed.subarray(0, sealed.length - tagBytes))
    try {
      opening.final()
    } catch (cause) {
      throw new BadSeal('a message that was not sealed by this secret', { cause })
    }
    const kind = kinds[plain[0] ?? kinds.length]
    if (kind === undefined) throw new BadSeal('a frame of no known kind')
    return { kind, bytes: plain.subarray(1) }
  }
}

function sealedLength(bytes: Uint8Array): number {
  const length = new DataView(bytes.buffer, bytes.byteOffset, lengthBytes).getUint32(0)
  if (length === 0 || length > sealedBytesMax) throw new BadSeal('a frame of an impossible length')
  return length
}
