import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ListingPage, pastPrefix, type Scope, scanStart } from './listing.ts'

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

/** Few characters, so that prefixes and delimiters are met; NUL, 7f, two, three and four bytes of UTF-8, U+FFFF above U+10000 in UTF-16. */
const letter = fc.constantFrom('a', 'b', '/', '/', '-', '\0', '\x7f', 'é', '\uffff', '\u{10000}', '\u{10ffff}')
const text = (maxLength: number): fc.Arbitrary<string> => fc.string({ unit: letter, maxLength })
const key = fc.string({ unit: letter, minLength: 1, maxLength: 7 })
const keys = fc.uniqueArray(key, { maxLength: 40 }).map((all) => all.sort(byBytes))
const scope = fc.record(
  { prefix: text(3), delimiter: fc.oneof(fc.constant('/'), fc.constantFrom('', '//', '-/', '\u{10000}'), text(2)) },
  { noNullPrototype: true },
)

/** What is shown, by walking all keys. */
function walk(all: readonly string[], { prefix, delimiter }: Scope): string[] {
  const shown: string[] = []
  for (const each of all) {
    if (!each.startsWith(prefix)) continue
    const rest = each.slice(prefix.length).split(delimiter === '' ? /(?!)/ : delimiter)
    const entry = rest.length > 1 ? prefix + rest[0] + delimiter : each
    if (!shown.includes(entry)) shown.push(entry)
  }
  return shown
}

interface Scanned {
  readonly page: ListingPage<string>
  readonly shown: string[]
  /** How many entries were read. */
  readonly reads: number
}

/** One page, read entry by entry as a store would be; where it `seeks`, past each prefix at once. */
function scan(all: readonly string[], where: Scope, after: string, limit: number, seeks = true): Scanned {
  const page = new ListingPage<string>(where, limit)
  const end = pastPrefix(where.prefix)
  let from: Uint8Array = scanStart(where, after)
  const shown: string[] = []
  for (let reads = 0; ; ) {
    const found = all.find((each) => Buffer.compare(Buffer.from(each), from) >= 0)
    if (found === undefined || (end !== undefined && Buffer.compare(Buffer.from(found), end) >= 0)) {
      return { page, shown, reads }
    }
    reads++
    const offered = page.offer(found, () => found)
    if (offered === 'full') return { page, shown, reads }
    if (page.lastKey !== undefined && page.lastKey !== shown.at(-1)) shown.push(page.lastKey)
    const past = seeks && offered === 'under' && page.lastKey !== undefined ? pastPrefix(page.lastKey) : undefined
    from = past ?? Buffer.from(`${found}\0`)
  }
}

test('L1, L2: pages show what a walk over all keys shows, with one read for each thing shown', () => {
  fc.assert(
    fc.property(keys, scope, fc.integer({ min: 1, max: 5 }), (all, where, limit) => {
      const shown: string[] = []
      let after = ''
      for (;;) {
        const scanned = scan(all, where, after, limit)
        assert.ok(scanned.page.size <= limit)
        assert.ok(scanned.reads <= scanned.page.size + 1)
        shown.push(...scanned.shown)
        if (!scanned.page.isTruncated) break
        assert.equal(scanned.page.size, limit)
        assert.deepEqual(scan(all, where, after, limit, false).shown, scanned.shown)
        after = scanned.page.lastKey ?? ''
      }
      assert.deepEqual(shown, walk(all, where))
    }),
    { numRuns: 5000 },
  )
})

test('L3: a page shows what is greater than any marker, and all of it', () => {
  fc.assert(
    fc.property(keys, scope, text(6), (all, where, after) => {
      const { shown, page } = scan(all, where, after, 1000)
      assert.deepEqual(
        shown,
        walk(all, where).filter((each) => byBytes(each, after) > 0),
      )
      assert.deepEqual(page.isTruncated, false)
    }),
    { numRuns: 5000 },
  )
})

test('a page of none turns the first entry away, and pastPrefix of nothing is the end', () => {
  const page = new ListingPage<string>({ prefix: '', delimiter: '' }, 0)
  assert.equal(
    page.offer('a', () => 'a'),
    'full',
  )
  assert.equal(page.isTruncated, true)
  assert.equal(pastPrefix(''), undefined)
})
