import type { View } from '#src/store/overlay.ts'
import type { Entry } from '#src/store/store.ts'
import type { Target } from '#src/store/writes.ts'

/** Entries per page: a write copies one page and the list of pages, so both should be short. No page is empty. */
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
    return entry !== undefined && compare(entry.key, key) === 0 ? entry.value : undefined
  }

  range(from: Uint8Array, to: Uint8Array, limit: number, reverse: boolean): Entry[] {
    if (compare(from, to) >= 0) return []
    return reverse ? this.#before(from, to, limit) : this.#since(from, to, limit)
  }

  #since(from: Uint8Array, to: Uint8Array, limit: number): Entry[] {
    const entries: Entry[] = []
    let index = pageOf(this.pages, from)
    let page = this.pages[index]
    let place = page === undefined ? 0 : placeIn(page, from)
    while (page !== undefined && entries.length < limit) {
      const end = endIn(page, to)
      for (; place < end && entries.length < limit; place++) entries.push(page[place] as Entry)
      if (end < page.length) break
      page = this.pages[++index]
      place = 0
    }
    return entries
  }

  #before(from: Uint8Array, to: Uint8Array, limit: number): Entry[] {
    const entries: Entry[] = []
    let index = Math.min(pageOf(this.pages, to), this.pages.length - 1)
    let page = this.pages[index]
    let place = page === undefined ? 0 : endIn(page, to)
    while (page !== undefined && entries.length < limit) {
      const start = startIn(page, from)
      while (place > start && entries.length < limit) entries.push(page[--place] as Entry)
      if (start > 0) break
      page = this.pages[--index]
      place = page?.length ?? 0
    }
    return entries
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
    const replaced = found !== undefined && compare(found.key, key) === 0 ? 1 : 0
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
    if (found === undefined || compare(found.key, key) !== 0) return
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
  let low = 0
  let high = pages.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const page = pages[middle] as Page
    if (compare((page[page.length - 1] as Entry).key, key) >= 0) high = middle
    else low = middle + 1
  }
  return low
}

/** Where the key is in the page, or would be. */
function placeIn(page: Page, key: Uint8Array): number {
  let low = 0
  let high = page.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compare((page[middle] as Entry).key, key) >= 0) high = middle
    else low = middle + 1
  }
  return low
}

/** Where a range that ends before the key ends in the page: mostly behind all of it. */
function endIn(page: Page, to: Uint8Array): number {
  return compare((page[page.length - 1] as Entry).key, to) < 0 ? page.length : placeIn(page, to)
}

/** Where a range that begins with the key begins in the page: mostly before all of it. */
function startIn(page: Page, from: Uint8Array): number {
  return compare((page[0] as Entry).key, from) >= 0 ? 0 : placeIn(page, from)
}

/** Most keys differ within some bytes: before a call out of JavaScript has been made, a loop is done. */
function compare(one: Uint8Array, other: Uint8Array): number {
  const length = Math.min(one.length, other.length)
  for (let at = 0; at < length; at++) {
    const difference = (one[at] as number) - (other[at] as number)
    if (difference !== 0) return difference
  }
  return one.length - other.length
}
