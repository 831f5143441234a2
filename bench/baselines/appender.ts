import { fdatasync, write } from 'node:fs'
import { promisify } from 'node:util'

/** Appends to a file, with one fdatasync for all that waited while the last one ran. */
export class Appender {
  readonly #file: number
  readonly #sync = promisify(fdatasync)
  readonly #write = promisify(write)
  #waiting: { bytes: Buffer; resolve: () => void }[] = []
  #isBusy = false
  #at = 0

  constructor(file: number) {
    this.#file = file
  }

  append(bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ bytes, resolve })
      if (!this.#isBusy) this.#drain().catch(reject)
    })
  }

  async #drain(): Promise<void> {
    this.#isBusy = true
    while (this.#waiting.length > 0) {
      const group = this.#waiting
      this.#waiting = []
      const bytes = Buffer.concat(group.map((each) => each.bytes))
      await this.#write(this.#file, bytes, 0, bytes.length, this.#at)
      this.#at += bytes.length
      await this.#sync(this.#file)
      for (const { resolve } of group) resolve()
    }
    this.#isBusy = false
  }
}
