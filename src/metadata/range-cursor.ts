import type { Entry, Snapshot } from '#src/store/store.ts'
import { afterKey } from '#src/store/tuple.ts'
import type { KeyRange } from './keyspace.ts'

/**
 * A seek costs about as much as reading so many entries. Where fewer than one in so many of a batch was stopped at, the rest was
 * read for nothing, and the next batch is smaller; where more than half was, it is larger.
 */
const entriesPerSeek = 4

/** Walks over a range in batches that suit how far it is sought; a seek within what is read costs no read. */
export class RangeCursor {
  readonly #snapshot: Snapshot
  readonly #to: Uint8Array
  readonly #batchMost: number
  #from: Uint8Array
  #batch: number
  #entries: readonly Entry[] = []
  #at = 0
  /** How many of the entries read the cursor stood at, and left by one step. */
  #stops = 0
  #hasMore = true

  constructor(snapshot: Snapshot, { from, to }: KeyRange, batch: { readonly first: number; readonly most: number }) {
    this.#snapshot = snapshot
    this.#from = from
    this.#to = to
    this.#batch = batch.first
    this.#batchMost = batch.most
  }

  /** The entry that the cursor stands at, if it has been read. */
  get read(): Entry | undefined {
    return this.#entries[this.#at]
  }

  /** The entry that the cursor stands at; undefined: the end. */
  async peek(): Promise<Entry | undefined> {
    const entry = this.#entries[this.#at]
    if (entry !== undefined || !this.#hasMore) return entry
    if (Buffer.compare(this.#from, this.#to) >= 0) {
      this.#hasMore = false
      return undefined
    }
    this.#adapt()
    const entries = await this.#snapshot.range(this.#from, this.#to, { limit: this.#batch })
    this.#hasMore = entries.length === this.#batch
    this.#entries = entries
    this.#at = 0
    const last = entries.at(-1)
    if (last !== undefined) this.#from = afterKey(last.key)
    this.#stops = 0
    return entries[0]
  }

  advance(): void {
    this.#at++
    this.#stops++
  }

  #adapt(): void {
    const read = this.#entries.length
    if (read === 0) return
    if (this.#stops * entriesPerSeek <= read) this.#batch = Math.max(1, this.#batch >> 2)
    else if (this.#stops * 2 > read) this.#batch = Math.min(this.#batch * 2, this.#batchMost)
  }

  /** Goes on to the first entry whose key is not less. */
  seek(key: Uint8Array): void {
    for (;;) {
      const entry = this.#entries[this.#at]
      if (entry === undefined) break
      if (Buffer.compare(entry.key, key) >= 0) return
      this.#at++
    }
    if (Buffer.compare(key, this.#from) <= 0) return
    this.#from = key
  }
}
