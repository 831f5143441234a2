import { type KeyRange, under } from '#src/metadata/keyspace.ts'
import { RangeCursor } from '#src/metadata/range-cursor.ts'
import { pastPrefix, type Scope } from '#src/model/listing.ts'
import type { Entry, Snapshot } from '#src/store/store.ts'
import { appendText, TupleReader } from '#src/store/tuple.ts'

/** Read at once where a delimiter lets the scan skip: most of a larger batch would lie under one prefix. */
const skippingBatch = 32

export interface ScanOptions {
  readonly space: 'current' | 'version' | 'upload'
  readonly bucket: number
  readonly scope: Scope
  /** Entries that the page can show, and one that tells whether there is more. */
  readonly most: number
}

/** Walks over the rows of one bucket in one subspace whose keys start with the prefix of a listing. */
export class ListingScan {
  readonly #cursor: RangeCursor
  readonly #base: Uint8Array

  /** `start`: UTF-8 of the least key, or the least row. */
  constructor(
    snapshot: Snapshot,
    options: ScanOptions,
    start: { readonly key: Uint8Array } | { readonly row: Uint8Array },
  ) {
    const all: KeyRange = under(options.space, [options.bucket])
    this.#base = all.from
    const past = pastPrefix(options.scope.prefix)
    const range: KeyRange = {
      from: 'row' in start ? start.row : appendText(all.from, start.key),
      to: past === undefined ? all.to : appendText(all.from, past),
    }
    const first = options.scope.delimiter === '' ? options.most : Math.min(skippingBatch, options.most)
    this.#cursor = new RangeCursor(snapshot, range, { first, most: options.most })
  }

  /** The row that the scan stands at, if it has been read. */
  get read(): Entry | undefined {
    return this.#cursor.read
  }

  async peek(): Promise<Entry | undefined> {
    return await this.#cursor.peek()
  }

  /** The elements of a row's key behind the bucket. */
  reader(row: Entry): TupleReader {
    return new TupleReader(row.key, this.#base.length)
  }

  advance(): void {
    this.#cursor.advance()
  }

  /** Goes on behind everything that starts with the prefix. */
  pass(prefix: string): void {
    const past = pastPrefix(prefix)
    if (past !== undefined) this.#cursor.seek(appendText(this.#base, past))
  }
}
