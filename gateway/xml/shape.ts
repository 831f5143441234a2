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

/**
 * Walks the tags once, without building anything, so that what would be expensive to parse never reaches the parser (X1).
 * Where this walk and the parser disagree about a document, it is not well-formed, and the parser refuses it.
 */
export function checkShape(document: string, elementsMax: number): void {
  let depth = 0
  let tags = 0
  let at = document.indexOf('<')
  while (at >= 0) {
    // Comments and instructions count too: each costs the parser about as much as an element. Two tags an element.
    if (++tags > 2 * elementsMax) throw malformed()
    const next = document.charAt(at + 1)
    if (next === '!') {
      at = document.indexOf('<', skipMarkup(document, at))
      continue
    }
    if (next === '?') {
      const end = after(document, '?>', at)
      checkDeclaration(document, at, end)
      at = document.indexOf('<', end)
      continue
    }
    const end = tagEnd(document, at)
    if (next === '/') depth--
    else if (document.charAt(end - 1) !== '/' && ++depth > depthMax) throw malformed()
    at = document.indexOf('<', end)
  }
}
