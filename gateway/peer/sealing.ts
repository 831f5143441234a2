import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  timingSafeEqual,
} from 'node:crypto'

/**
 * What goes between cells, sealed by the cluster's secret: AES-256-GCM, with a key of its own for each message.
 *
 * A message is frames: 4 bytes of length, the sealed bytes, 16 bytes of tag. A frame's first byte says what it is; its nonce is its number.
 *
 * Y7  a frame that was changed, left out, repeated, put elsewhere or taken from another message opens nothing.
 * Y8  a message that was cut short is seen to be: its last frame says that it is the last.
 */
export type Kind = 'more' | 'last' | 'fault' | 'refusal'

const kinds: readonly Kind[] = ['more', 'last', 'fault', 'refusal']
const cipher = 'aes-256-gcm'
const tagBytes = 16
const lengthBytes = 4
export const saltBytes = 16
/** Of one frame; a larger message is several. */
export const frameBytesMax = 256 * 1024
/** What a frame may claim to be: a request is one, and carries what a method takes. */
const sealedBytesMax = 32 * 2 ** 20

/** The secret that all nodes of a cluster share, made into keys: Node takes key objects in a quarter of the time that bytes cost. */
export class ClusterSecret {
  readonly #sealing: KeyObject
  readonly #signing: KeyObject

  constructor(secret: string) {
    const key = (purpose: string) =>
      createSecretKey(new Uint8Array(hkdfSync('sha256', secret, '', `meridian peer 1 ${purpose}`, 32)))
    this.#sealing = key('sealing')
    this.#signing = key('signing')
  }

  /** `salt`: by chance, never the same twice; `context`: what the message belongs to, known to both ends. */
  sealing(salt: Uint8Array, context: string): Sealing {
    return new Sealing(this.#messageKey(salt), Buffer.from(context))
  }

  opening(salt: Uint8Array, context: string): Opening {
    return new Opening(this.#messageKey(salt), Buffer.from(context))
  }

  /** Of what is sent in clear. */
  sign(text: string): string {
    return createHmac('sha256', this.#signing).update(text).digest('hex')
  }

  isSigned(text: string, signature: string): boolean {
    const [made, given] = [Buffer.from(this.sign(text)), Buffer.from(signature)]
    return made.length === given.length && timingSafeEqual(made, given)
  }

  #messageKey(salt: Uint8Array): KeyObject {
    return createSecretKey(createHmac('sha256', this.#sealing).update(salt).digest())
  }
}

const nonceOf = (number: number): Uint8Array => {
  const nonce = Buffer.alloc(12)
  nonce.writeUInt32BE(number, 8)
  return nonce
}

export class Sealing {
  readonly #key: KeyObject
  readonly #context: Uint8Array
  #number = 0

  constructor(key: KeyObject, context: Uint8Array) {
    this.#key = key
    this.#context = context
  }

  frame(kind: Kind, bytes: Uint8Array): Uint8Array {
    const sealing = createCipheriv(cipher, this.#key, nonceOf(this.#number++), { authTagLength: tagBytes })
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
  readonly #context: Uint8Array
  #number = 0

  constructor(key: KeyObject, context: Uint8Array) {
    this.#key = key
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

  /** A message of one frame. */
  one(bytes: Uint8Array): Frame {
    if (bytes.length < lengthBytes || bytes.length !== lengthBytes + sealedLength(bytes) + tagBytes) {
      throw new BadSeal('not a message of one frame')
    }
    return this.#open(bytes.subarray(lengthBytes))
  }

  #open(sealed: Uint8Array): Frame {
    const opening = createDecipheriv(cipher, this.#key, nonceOf(this.#number++), { authTagLength: tagBytes })
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
