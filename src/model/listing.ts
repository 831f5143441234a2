/**
 * What a listing shows, and where its scan goes on.
 *
 * L1  pages, laid one behind the other, show what a walk over all keys would: each key with the prefix, in the order of its
 *     UTF-8 bytes, those that share a common prefix as that prefix, once.
 * L2  whatever lies under a common prefix, the scan goes past it in one step.
 * L3  a page shows nothing that is not greater than the marker, common prefixes included.
 */
export interface Scope {
  readonly prefix: string
  /** Empty: none. */
  readonly delimiter: string
}

/** The prefix under which a key is shown, the delimiter included; undefined: the key is shown itself. */
export function commonPrefix(key: string, { prefix, delimiter }: Scope): string | undefined {
  if (delimiter === '') return undefined
  const at = key.indexOf(delimiter, prefix.length)
  return at < 0 ? undefined : key.slice(0, at + delimiter.length)
}

/** The least bytes above everything that starts with the text; undefined where the text is empty. */
export function pastPrefix(text: string): Uint8Array | undefined {
  if (text === '') return undefined
  const bytes = Buffer.from(text)
  // UTF-8 has no byte above f4: the last one can always be counted up.
  const last = bytes.length - 1
  bytes[last] = (bytes[last] ?? 0) + 1
  return bytes
}

/** The least bytes that a page after the marker may show, of keys or of what they are shown as. */
export function scanStart(scope: Scope, after: string): Uint8Array {
  const prefix = Buffer.from(scope.prefix)
  if (after === '') return prefix
  const within = commonPrefix(after, scope)
  // What lies under the marker's own common prefix is shown as that prefix, which is not greater than the marker (L3).
  const start = (within === undefined ? undefined : pastPrefix(within)) ?? Buffer.from(`${after}\0`)
  return Buffer.compare(start, prefix) > 0 ? start : prefix
}

/** What became of an entry that was offered to a page. */
export type Offered = 'shown' | 'under' | 'full'

/** A page while it is filled, from entries in order. */
export class ListingPage<Item> {
  readonly items: Item[] = []
  readonly prefixes: string[] = []
  readonly #scope: Scope
  readonly #limit: number
  #isTruncated = false
  #isLastPrefix = false
  #lastKey: string | undefined

  constructor(scope: Scope, limit: number) {
    this.#scope = scope
    this.#limit = limit
  }

  /** An entry was turned away: there is more than this page shows. */
  get isTruncated(): boolean {
    return this.#isTruncated
  }

  /** The key of what was shown last, or the prefix. */
  get lastKey(): string | undefined {
    return this.#lastKey
  }

  /** Whether what was shown last is a common prefix, which the scan can go past. */
  get isLastPrefix(): boolean {
    return this.#isLastPrefix
  }

  get size(): number {
    return this.items.length + this.prefixes.length
  }

  /** `under`: shown as a common prefix, now or before. `full`: not shown; the page is complete. */
  offer(key: string, item: () => Item): Offered {
    if (this.#isLastPrefix && this.#lastKey !== undefined && key.startsWith(this.#lastKey)) return 'under'
    if (this.size >= this.#limit) {
      this.#isTruncated = true
      return 'full'
    }
    const shared = commonPrefix(key, this.#scope)
    this.#isLastPrefix = shared !== undefined
    this.#lastKey = shared ?? key
    if (shared === undefined) {
      this.items.push(item())
      return 'shown'
    }
    this.prefixes.push(shared)
    return 'under'
  }
}
