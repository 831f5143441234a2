import { createHash, randomBytes } from 'node:crypto'

/** Names of requests, unique over processes and restarts: a random part of the process and a count. */
export class RequestNames {
  readonly server = 'Meridian'
  /** Says which process answered. */
  readonly hostId: string
  readonly #prefix = randomBytes(4).toString('hex').toUpperCase()
  #count = 0

  constructor(process: string) {
    this.hostId = createHash('sha256').update(process).update(this.#prefix).digest('base64')
  }

  next(): string {
    this.#count = (this.#count + 1) % 2 ** 32
    return this.#prefix + this.#count.toString(16).toUpperCase().padStart(8, '0')
  }
}
