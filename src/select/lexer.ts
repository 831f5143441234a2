import { Fault } from '#src/errors.ts'

export interface Token {
  /** `word`: a name or keyword, `quoted`: a name in double quotes, `text`: in single quotes, `ion`: in backticks. */
  readonly kind: 'word' | 'quoted' | 'text' | 'ion' | 'number' | 'symbol' | 'end'
  readonly text: string
  /** Lower case, for keywords. */
  readonly lower: string
  readonly at: number
}

const spaces = /[\s]*/y
const word = /[A-Za-z_$\u0080-\uffff][\w$\u0080-\uffff]*/y
const number = /(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/y
const symbol = /<>|<=|>=|!=|\|\||[()[\],.*+\-/%=<>;]/y

function take(form: RegExp, source: string, at: number): string | undefined {
  form.lastIndex = at
  return form.exec(source)?.[0]
}

const quotes: Readonly<Record<string, Token['kind']>> = { "'": 'text', '"': 'quoted', '`': 'ion' }

/** The quote stands doubled in what it surrounds. */
function takeQuoted(source: string, at: number, kind: Token['kind']): readonly [Token, number] {
  const quote = source.charAt(at)
  let end = at + 1
  for (;;) {
    end = source.indexOf(quote, end)
    if (end < 0) throw new Fault('LexerInvalidLiteral', { Position: at })
    if (source.charAt(end + 1) !== quote) break
    end += 2
  }
  const text = source.slice(at + 1, end).replaceAll(quote + quote, quote)
  return [{ kind, text, lower: '', at }, end + 1]
}

export function tokenize(source: string): readonly Token[] {
  const tokens: Token[] = []
  for (let at = 0; ; ) {
    at += take(spaces, source, at)?.length ?? 0
    if (at >= source.length) break
    const quoted = quotes[source.charAt(at)]
    if (quoted !== undefined) {
      const [token, end] = takeQuoted(source, at, quoted)
      tokens.push(token)
      at = end
      continue
    }
    const [kind, text] = takePlain(source, at)
    tokens.push({ kind, text, lower: text.toLowerCase(), at })
    at += text.length
  }
  tokens.push({ kind: 'end', text: '', lower: '', at: source.length })
  return tokens
}

function takePlain(source: string, at: number): readonly [Token['kind'], string] {
  const name = take(word, source, at)
  if (name !== undefined) return ['word', name]
  const digits = take(number, source, at)
  if (digits !== undefined) return ['number', digits]
  const sign = take(symbol, source, at)
  if (sign !== undefined) return ['symbol', sign]
  throw new Fault('LexerInvalidChar', { Position: at })
}
