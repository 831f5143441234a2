import { Fault, type FaultCode } from '#src/errors.ts'
import { type Token, tokenize } from './lexer.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_SelectObjectContent.html: 256 KB. */
const expressionLengthMax = 262_144
/** Of brackets within brackets; each takes some of the stack. */
const depthMax = 100

const end: Token = { kind: 'end', text: '', lower: '', at: 0 }

/** The tokens of an expression, and where one stands in them. */
export class TokenStream {
  readonly #tokens: readonly Token[]
  #at = 0
  #depth = 0

  constructor(source: string) {
    if (source.length > expressionLengthMax) throw new Fault('ExpressionTooLong')
    this.#tokens = tokenize(source)
  }

  peek(ahead = 0): Token {
    return this.#tokens[this.#at + ahead] ?? this.#tokens.at(-1) ?? end
  }

  next(): Token {
    const token = this.peek()
    this.#at++
    return token
  }

  isSymbol(text: string, ahead = 0): boolean {
    const token = this.peek(ahead)
    return token.kind === 'symbol' && token.text === text
  }

  isKeyword(word: string, ahead = 0): boolean {
    const token = this.peek(ahead)
    return token.kind === 'word' && token.lower === word
  }

  takeSymbol(text: string): boolean {
    const found = this.isSymbol(text)
    if (found) this.#at++
    return found
  }

  takeKeyword(word: string): boolean {
    const found = this.isKeyword(word)
    if (found) this.#at++
    return found
  }

  wantSymbol(text: string, code: FaultCode = 'ParseExpectedTokenType'): void {
    if (!this.takeSymbol(text)) throw this.fault(code)
  }

  wantKeyword(word: string, code: FaultCode = 'ParseExpectedKeyword'): void {
    if (!this.takeKeyword(word)) throw this.fault(code)
  }

  fault(code: FaultCode): Fault {
    const { text, at } = this.peek()
    return new Fault(code, { Token: text.slice(0, 100), Position: at })
  }

  /** Runs what may nest, so deep and no deeper. */
  nested<Result>(inner: () => Result): Result {
    if (++this.#depth > depthMax) throw new Fault('UnsupportedSqlStructure')
    const result = inner()
    this.#depth--
    return result
  }
}
