import { Fault } from '#src/errors.ts'

/** S3's deepest request document has six levels. */
const depthMax = 10
/** A start tag with its attributes; the longest that S3 knows has 130 characters. */
const tagLengthMax = 4_096

const malformed = (): Fault => new Fault('MalformedXML')

/** Where the tag that starts at `from` ends, quotes respected. */
function tagEnd(document: string, from: number): number {
  const limit = Math.min(document.length, from + tagLengthMax)
  let quote = ''
  for (let at = from; at < limit; at++) {
    const character = document.charAt(at)
    if (quote !== '') {
      if (character === quote) quote = ''
    } else if (character === '"' || character === "'") quote = character
    else if (character === '>') return at
  }
  throw malformed()
}

function after(document: string, mark: string, from: number): number {
  const found = document.indexOf(mark, from)
  if (found < 0) throw malformed()
  return found + mark.length
}

/** Comments and CDATA sections; a DOCTYPE, or anything else that begins so, is refused. */
function skipMarkup(document: string, from: number): number {
  if (document.startsWith('<!--', from)) return after(document, '-->', from + 4)
  if (document.startsWith('<![CDATA[', from)) return after(document, ']]>', from + 9)
  throw malformed()
}

/** UTF-8 is the only encoding that the bytes were decoded by. */
function checkDeclaration(document: string, from: number, end: number): void {
  const encoding = /encoding\s*=\s*["']([^"']*)["']/.exec(document.slice(from, Math.min(end, from + 200)))?.[1]
  if (encoding !== undefined && !/^(utf-?8|us-ascii)$/i.test(encoding)) throw malformed()
}

/** Around the root there is white space alone; the parser itself would drop what stands there. */
function checkOutside(document: string, from: number, to: number): void {
  for (let at = from; at < to; at++) if (!' \t\r\n'.includes(document.charAt(at))) throw malformed()
}

/** Comments, CDATA and instructions: where they end; undefined: a tag starts here. */
function skipOther(document: string, at: number): number | undefined {
  const next = document.charAt(at + 1)
  if (next === '!') return skipMarkup(document, at)
  if (next !== '?') return undefined
  const end = after(document, '?>', at)
  checkDeclaration(document, at, end)
  return end
}

/**
 * Walks the tags once, without building anything, so that what would be expensive to parse never reaches the parser (X1).
 * Where this walk and the parser disagree about a document, it is not well-formed, and the parser refuses it.
 */
export function checkShape(document: string, elementsMax: number): void {
  let depth = 0
  let roots = 0
  let tags = 0
  let end = 0
  for (;;) {
    const at = document.indexOf('<', end)
    if (depth === 0) checkOutside(document, end, at < 0 ? document.length : at)
    if (at < 0) return
    // Comments and instructions count too: each costs the parser about as much as an element. Two tags an element.
    if (++tags > 2 * elementsMax) throw malformed()
    const other = skipOther(document, at)
    if (other !== undefined) {
      end = other
      continue
    }
    end = tagEnd(document, at) + 1
    if (document.charAt(at + 1) === '/') {
      depth--
      continue
    }
    // The parser itself would take a second root, and silently drop it.
    if (depth === 0 && ++roots > 1) throw malformed()
    if (document.charAt(end - 2) !== '/' && ++depth > depthMax) throw malformed()
  }
}
