import type { View } from '#src/store/overlay.ts'
import type { Entry } from '#src/store/store.ts'
import type { Target } from '#src/store/writes.ts'

/** Entries per page: a write copies one page and the list of pages, so both should be short. */
const pageMost = 64

type Page = readonly Entry[]

/** One state: pages of entries in key order, never changed, so that holding it is having a snapshot. */
export class SortedEntries implements View {
  readonly pages: readonly Page[]

  constructor(pages: readonly Page[] = []) {
    this.pages = pages
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const page = this.pages[pageOf(this.pages, key)]
    const entry = page?.[placeIn(page, key)]
    return entry !== undefined && Buffer.compare(entry.key, key) === 0 ? entry.value : undefined
  }

  range(from: Uint8Array, to: Uint8Array, limit: number, reverse: boolean): Entry[] {
    const entries: Entry[] = []
    for (const entry of reverse ? this.#before(to) : this.#since(from)) {
      if (reverse ? Buffer.compare(entry.key, from) < 0 : Buffer.compare(entry.key, to) >= 0) break
      if (entries.push(entry) >= limit) break
    }
    return entries
  }

  *#since(from: Uint8Array): Generator<Entry> {
    for (let index = pageOf(this.pages, from); index < this.pages.length; index++) {
      const page = this.pages[index] ?? []
      for (const entry of page) if (Buffer.compare(entry.key, from) >= 0) yield entry
    }
  }

  *#before(to: Uint8Array): Generator<Entry> {
    for (let index = Math.min(pageOf(this.pages, to), this.pages.length - 1); index >= 0; index--) {
      const page = this.pages[index] ?? []
      for (const entry of page.toReversed()) if (Buffer.compare(entry.key, to) < 0) yield entry
    }
  }
}

/** Makes the next state of a state. */
export class Edition implements Target, View {
  #state: SortedEntries

  constructor(state: SortedEntries) {
    this.#state = state
  }

  get state(): SortedEntries {
    return this.#state
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#state.get(key)
  }

  range(from: Uint8Array, to: Uint8Array, limit: number, reverse: boolean): Entry[] {
    return this.#state.range(from, to, limit, reverse)
  }

  set(key: Uint8Array, value: Uint8Array): void {
    const { pages } = this.#state
    // Copies, as what is stored must not change when the caller uses its buffers again.
    const entry = { key: Buffer.from(key), value: Buffer.from(value) }
    const index = Math.min(pageOf(pages, key), Math.max(0, pages.length - 1))
    const page = pages[index] ?? []
    const place = placeIn(page, key)
    const found = page[place]
    const replaced = found !== undefined && Buffer.compare(found.key, key) === 0 ? 1 : 0
    const next = page.toSpliced(place, replaced, entry)
    const half = next.length / 2
    this.#replace(index, next.length > pageMost ? [next.slice(0, half), next.slice(half)] : [next])
  }

  clear(key: Uint8Array): void {
    const { pages } = this.#state
    const index = pageOf(pages, key)
    const page = pages[index]
    if (page === undefined) return
    const place = placeIn(page, key)
    const found = page[place]
    if (found === undefined || Buffer.compare(found.key, key) !== 0) return
    this.#replace(index, page.length === 1 ? [] : [page.toSpliced(place, 1)])
  }

  clearRange(from: Uint8Array, to: Uint8Array): void {
    for (const { key } of this.range(from, to, Number.POSITIVE_INFINITY, false)) this.clear(key)
  }

  #replace(index: number, pages: Page[]): void {
    this.#state = new SortedEntries(this.#state.pages.toSpliced(index, 1, ...pages))
  }
}

/** The first page that may hold the key or what follows it. */
function pageOf(pages: readonly Page[], key: Uint8Array): number {
  return first(pages.length, (index) => {
    const last = pages[index]?.at(-1)
    return last !== undefined && Buffer.compare(last.key, key) >= 0
  })
}

/** Where the key is in the page, or would be. */
function placeIn(page: Page, key: Uint8Array): number {
  return first(page.length, (index) => {
    const entry = page[index]
    return entry !== undefined && Buffer.compare(entry.key, key) >= 0
  })
}

/** The least index for which it is true; it is true for all that follow. */
function first(length: number, isTrue: (index: number) => boolean): number {
  let low = 0
  let high = length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isTrue(middle)) high = middle
    else low = middle + 1
  }
  return low
}
