import { Fault } from '#src/errors.ts'
import type { Source } from '#src/select/request.ts'
import type { FindObject, Found, Objects } from '#src/service/services.ts'

/** The bytes of one version of an object, read as they are asked for. */
export class ObjectSource implements Source {
  readonly size: number
  readonly #objects: Pick<Objects, 'get'>
  readonly #request: FindObject
  readonly #etag: string
  readonly #isSequential: boolean
  #stream: AsyncIterator<Uint8Array> | undefined
  #at = 0
  #isClosed = false
  /** What came, and was not asked for yet. */
  #rest: Uint8Array = new Uint8Array(0)

  /** `isSequential`: it is mostly read from front to back, one read at a time. */
  constructor(objects: Pick<Objects, 'get'>, request: FindObject, found: Found, isSequential: boolean) {
    const { version, versionId } = found
    this.#objects = objects
    this.#request = versionId === undefined ? request : { ...request, versionId }
    this.#etag = version.etag
    this.#isSequential = isSequential
    this.size = version.size
  }

  async read(from: number, to: number): Promise<Uint8Array> {
    const into = new Uint8Array(to - from)
    if (!this.#isSequential) {
      const stream = await this.#open(from, to)
      await fill(into, new Uint8Array(0), stream)
      return into
    }
    if (this.#stream === undefined || this.#at !== from) {
      await this.#letGo()
      this.#stream = await this.#open(from, this.size)
    }
    const stream = this.#stream
    this.#rest = await fill(into, this.#rest, stream)
    this.#at = to
    if (this.#isClosed) await stream.return?.()
    return into
  }

  /** Lets go of what is open, at the latest when the read that still goes on is over. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#letGo()
  }

  async #letGo(): Promise<void> {
    const stream = this.#stream
    this.#stream = undefined
    this.#rest = new Uint8Array(0)
    await stream?.return?.()
  }

  async #open(from: number, to: number): Promise<AsyncIterator<Uint8Array>> {
    const { bytes } = await this.#objects
      .get({
        ...this.#request,
        conditions: { ifMatch: [this.#etag] },
        wanted: { kind: 'range', from, to: to - 1 },
      })
      .catch((error: unknown) => {
        const isOther = error instanceof Fault && error.code === 'PreconditionFailed'
        throw isOther ? new Fault('Busy', { message: 'The object was overwritten while it was read.' }) : error
      })
    return bytes instanceof Uint8Array ? single(bytes) : bytes[Symbol.asyncIterator]()
  }
}

async function* single(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** Copies, as chunks are only lent; gives what came too much. */
async function fill(into: Uint8Array, first: Uint8Array, stream: AsyncIterator<Uint8Array>): Promise<Uint8Array> {
  let filled = 0
  for (let chunk = first; ; ) {
    const part = chunk.subarray(0, into.length - filled)
    into.set(part, filled)
    filled += part.length
    if (filled === into.length) return chunk.slice(part.length)
    const step = await stream.next()
    if (step.done === true) throw new Error('an object is shorter than its record says')
    chunk = step.value
  }
}
