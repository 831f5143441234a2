import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto'
import { ContentTampered } from './content-tampered.ts'
import { deriveKey } from './key-wrap.ts'

/**
 * Content as it is kept when encrypted: chunks of one size, but the last, each AES-256-GCM and its tag.
 *
 * E1  what opens is what was sealed: any size, any range.
 * E2  a changed byte, a chunk that is missing, moved, repeated or of another content, and a content cut off at a chunk's end do
 *     not open; nothing of the chunk in question is given out.
 * E3  no key ever meets a nonce twice: each content has a key of its own, derived from its random id, and counts its chunks.
 */
const tagBytes = 16
/** With its tag a chunk fills one frame of a blob (128 KiB), so a range reads no frame in vain. */
export const plainChunkBytes = 128 * 1024 - tagBytes
export const sealedChunkBytes = plainChunkBytes + tagBytes

/** One run of encrypted bytes: the id is random and used once. */
export interface ContentName {
  /** In hexadecimal: a blob's, or that of a small object's bytes. */
  readonly id: string
  /** Number of the part that it is of; 0: none. */
  readonly part: number
}

/** An empty content has one chunk too: that it is empty is authenticated. */
export const chunkCount = (plainSize: number): number => Math.max(1, Math.ceil(plainSize / plainChunkBytes))
export const sealedSize = (plainSize: number): number => plainSize + chunkCount(plainSize) * tagBytes

export class ContentCipher {
  readonly #key: KeyObject

  constructor(dataKey: Uint8Array, { id, part }: ContentName) {
    this.#key = createSecretKey(deriveKey(dataKey, Buffer.from(id, 'hex'), `content ${part}`))
  }

  /** Seals a body of any slices; holds one chunk of it. */
  async *seal(body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const held = new Gathered(plainChunkBytes)
    let number = 0
    for await (const slice of body) {
      let rest = slice
      while (rest.length > 0) {
        // A full chunk is held until more comes: only then it is known not to be the last.
        if (held.isFull) yield this.sealChunk(held.take(), number++, false)
        rest = held.add(rest)
      }
    }
    yield this.sealChunk(held.take(), number, true)
  }

  sealChunk(plain: Uint8Array, number: number, isLast: boolean): Uint8Array {
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonceOf(number))
    cipher.setAAD(place(number, isLast))
    return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  }

  openChunk(sealed: Uint8Array, number: number, isLast: boolean): Uint8Array {
    if (sealed.length < tagBytes) throw new ContentTampered('an encrypted chunk that is too short')
    const decipher = createDecipheriv('aes-256-gcm', this.#key, nonceOf(number), { authTagLength: tagBytes })
    decipher.setAAD(place(number, isLast))
    decipher.setAuthTag(sealed.subarray(sealed.length - tagBytes))
    const plain = decipher.update(sealed.subarray(0, sealed.length - tagBytes))
    try {
      decipher.final()
    } catch (cause) {
      throw new ContentTampered('an encrypted chunk that does not open', { cause })
    }
    return plain
  }

  /** The bytes [from, to) of a content of `size`; `read` gives ranges of what `seal` gave. */
  async *open(
    { size, from, to }: { readonly size: number; readonly from: number; readonly to: number },
    read: (from: number, to: number) => AsyncIterable<Uint8Array>,
  ): AsyncGenerator<Uint8Array> {
    const last = chunkCount(size) - 1
    const firstWanted = Math.min(last, Math.floor(from / plainChunkBytes))
    const lastWanted = to === 0 ? 0 : Math.min(last, Math.floor((to - 1) / plainChunkBytes))
    const end = Math.min(sealedSize(size), (lastWanted + 1) * sealedChunkBytes)
    let number = firstWanted
    for await (const sealed of regrouped(read(firstWanted * sealedChunkBytes, end))) {
      if (number > lastWanted) throw new ContentTampered('an encrypted content that is too long')
      const plain = this.openChunk(sealed, number, number === last)
      const start = number * plainChunkBytes
      if (plain.length !== Math.min(plainChunkBytes, size - start)) {
        throw new ContentTampered('an encrypted content of another size')
      }
      number++
      const wanted = plain.subarray(Math.max(0, from - start), to - start)
      if (wanted.length > 0) yield wanted
    }
    if (number !== lastWanted + 1) throw new ContentTampered('an encrypted content that is too short')
  }
}

/** Slices of any size as whole chunks, but the last; each is to be used before the next is asked for. */
async function* regrouped(slices: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const held = new Gathered(sealedChunkBytes)
  for await (const slice of slices) {
    let rest = slice
    while (rest.length > 0) {
      if (held.isEmpty && rest.length >= sealedChunkBytes) {
        yield rest.subarray(0, sealedChunkBytes)
        rest = rest.subarray(sealedChunkBytes)
      } else {
        rest = held.add(rest)
        if (held.isFull) yield held.take()
      }
    }
  }
  if (!held.isEmpty) yield held.take()
}

/** Copies slices together: whoever made them may use their memory again. */
class Gathered {
  readonly #capacity: number
  #bytes: Buffer | undefined
  #length = 0

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get isFull(): boolean {
    return this.#length === this.#capacity
  }

  get isEmpty(): boolean {
    return this.#length === 0
  }

  /** Takes what there is room for, and gives the rest. */
  add(slice: Uint8Array): Uint8Array {
    this.#bytes ??= Buffer.allocUnsafeSlow(this.#capacity)
    const taken = slice.subarray(0, this.#capacity - this.#length)
    this.#bytes.set(taken, this.#length)
    this.#length += taken.length
    return slice.subarray(taken.length)
  }

  /** What was gathered; its memory is used again. */
  take(): Uint8Array {
    const taken = this.#bytes?.subarray(0, this.#length) ?? new Uint8Array(0)
    this.#length = 0
    return taken
  }
}

function nonceOf(number: number): Uint8Array {
  const nonce = Buffer.alloc(12)
  nonce.writeBigUInt64BE(BigInt(number), 4)
  return nonce
}

function place(number: number, isLast: boolean): Uint8Array {
  const bytes = Buffer.alloc(9)
  bytes.writeBigUInt64BE(BigInt(number), 0)
  bytes[8] = isLast ? 1 : 0
  return bytes
}
