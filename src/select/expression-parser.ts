import { Fault } from '#src/errors.ts'
import { isCall, parseCall, parseCase, parseCast } from './call-parser.ts'
import { parseDecimal } from './decimal.ts'
import { integerMax } from './operators.ts'
import type { Expression, Step } from './syntax.ts'
import { parseTimestamp } from './timestamp.ts'
import type { TokenStream } from './token-stream.ts'

/** Weakest first: OR, AND, NOT, comparisons, `||`, sums, products, signs. */
export function parseExpression(tokens: TokenStream): Expression {
  return tokens.nested(() => parseChain(tokens, 0))
}

const chains: readonly ((tokens: TokenStream) => string | undefined)[] = [
  (tokens) => (tokens.takeKeyword('or') ? 'or' : undefined),
  (tokens) => (tokens.takeKeyword('and') ? 'and' : undefined),
]

function parseChain(tokens: TokenStream, level: number): Expression {
  const chain = chains[level]
  if (chain === undefined) return parseNot(tokens)
  let left = parseChain(tokens, level + 1)
  for (;;) {
    const operator = chain(tokens)
    if (operator === undefined) return left
    left = { kind: 'binary', operator, left, right: parseChain(tokens, level + 1) }
  }
}

const not = (operand: Expression): Expression => ({ kind: 'not', operand })

function parseNot(tokens: TokenStream): Expression {
  if (tokens.takeKeyword('not')) return tokens.nested(() => not(parseNot(tokens)))
  return parseComparison(tokens)
}

const comparisons: ReadonlySet<string> = new Set(['=', '!=', '<>', '<', '<=', '>', '>='])

function parseComparison(tokens: TokenStream): Expression {
  let left = parseSum(tokens)
  for (;;) {
    const { kind, text } = tokens.peek()
    if (kind === 'symbol' && comparisons.has(text)) {
      tokens.next()
      left = { kind: 'binary', operator: text === '<>' ? '!=' : text, left, right: parseSum(tokens) }
      continue
    }
    const predicate = parsePredicate(tokens, left)
    if (predicate === undefined) return left
    left = predicate
  }
}

/** IS, LIKE, BETWEEN and IN, each also with NOT. */
function parsePredicate(tokens: TokenStream, left: Expression): Expression | undefined {
  if (tokens.takeKeyword('is')) {
    const isNegated = tokens.takeKeyword('not')
    const what = tokens.takeKeyword('missing') ? 'missing' : 'null'
    if (what === 'null') tokens.wantKeyword('null')
    const is: Expression = { kind: 'is', operand: left, what }
    return isNegated ? not(is) : is
  }
  const isNegated = tokens.takeKeyword('not')
  const found = parseMatch(tokens, left)
  if (found === undefined && isNegated) throw tokens.fault('ParseUnexpectedToken')
  return found !== undefined && isNegated ? not(found) : found
}

function parseMatch(tokens: TokenStream, left: Expression): Expression | undefined {
  if (tokens.takeKeyword('like')) {
    const pattern = parseSum(tokens)
    const operands = tokens.takeKeyword('escape') ? [left, pattern, parseSum(tokens)] : [left, pattern]
    return { kind: 'like', operands }
  }
  if (tokens.takeKeyword('between')) {
    const low = parseSum(tokens)
    tokens.wantKeyword('and')
    return { kind: 'between', operands: [left, low, parseSum(tokens)] }
  }
  if (!tokens.takeKeyword('in')) return undefined
  if (!tokens.isSymbol('(') && !tokens.isSymbol('[')) return { kind: 'in', value: left, options: [parseSum(tokens)] }
  const close = tokens.next().text === '(' ? ')' : ']'
  const options: Expression[] = []
  do options.push(parseExpression(tokens))
  while (tokens.takeSymbol(','))
  tokens.wantSymbol(close)
  return { kind: 'in', value: left, options }
}

const operators: readonly ReadonlySet<string>[] = [new Set(['||']), new Set(['+', '-']), new Set(['*', '/', '%'])]

function parseSum(tokens: TokenStream, level = 0): Expression {
  const wanted = operators[level]
  if (wanted === undefined) return parseSign(tokens)
  let left = parseSum(tokens, level + 1)
  for (;;) {
    const { kind, text } = tokens.peek()
    if (kind !== 'symbol' || !wanted.has(text)) return left
    tokens.next()
    left = { kind: 'binary', operator: text, left, right: parseSum(tokens, level + 1) }
  }
}

function parseSign(tokens: TokenStream): Expression {
  if (tokens.takeSymbol('-')) return tokens.nested(() => ({ kind: 'negate', operand: parseSign(tokens) }))
  if (tokens.takeSymbol('+')) return tokens.nested(() => parseSign(tokens))
  return parsePrimary(tokens)
}

const constants = new Map<string, Expression>([
  ['null', { kind: 'literal', value: null }],
  ['missing', { kind: 'literal', value: undefined }],
  ['true', { kind: 'literal', value: true }],
  ['false', { kind: 'literal', value: false }],
])

/** Words that begin no value; the others may be names of columns, as far as they are not reserved. */
const reserved: ReadonlySet<string> = new Set([
  ...['select', 'from', 'where', 'limit', 'and', 'or', 'as', 'in', 'is', 'like', 'between', 'escape', 'then', 'when'],
  ...['else', 'end'],
])

function parsePrimary(tokens: TokenStream): Expression {
  const { kind, text, lower } = tokens.peek()
  if (kind === 'number') return parseNumber(tokens)
  if (kind === 'text') {
    tokens.next()
    return { kind: 'literal', value: text }
  }
  if (kind === 'ion') return parseIon(tokens)
  if (tokens.takeSymbol('(')) {
    const inner = parseExpression(tokens)
    tokens.wantSymbol(')')
    return inner
  }
  if (kind === 'quoted') return parsePath(tokens)
  if (kind !== 'word' || reserved.has(lower)) {
    throw tokens.fault(kind === 'end' ? 'ParseExpectedExpression' : 'ParseUnexpectedToken')
  }
  if (lower === 'case') return parseCase(tokens, parseExpression)
  if (lower === 'cast') return parseCast(tokens, parseExpression)
  if (isCall(tokens)) return parseCall(tokens, parseExpression)
  const constant = constants.get(lower)
  if (constant === undefined) return parsePath(tokens)
  tokens.next()
  return constant
}

function parseNumber(tokens: TokenStream): Expression {
  const { text } = tokens.next()
  const integer = /^\d{1,19}$/.test(text) ? BigInt(text) : undefined
  const value = integer !== undefined && integer <= integerMax ? integer : parseDecimal(text)
  if (value === undefined) throw new Fault('LexerInvalidLiteral')
  return { kind: 'literal', value }
}

/** Of Ion's literals, timestamps and numbers. */
function parseIon(tokens: TokenStream): Expression {
  const { text } = tokens.next()
  const integer = /^-?\d{1,18}$/.test(text) ? BigInt(text) : undefined
  const value = integer ?? parseTimestamp(text) ?? parseDecimal(text)
  if (value === undefined) throw new Fault('LexerInvalidIONLiteral')
  return { kind: 'literal', value }
}

function parsePath(tokens: TokenStream): Expression {
  const { kind, text } = tokens.next()
  const steps: Step[] = [{ kind: 'name', name: text, isQuoted: kind === 'quoted' }, ...parseSteps(tokens)]
  if (steps.some((step) => step.kind === 'each')) throw tokens.fault('ParseInvalidContextForWildcardInSelectList')
  return { kind: 'path', steps }
}

/** `.name`, `[0]`, `['name']`, `[*]`. */
export function parseSteps(tokens: TokenStream): readonly Step[] {
  const steps: Step[] = []
  for (;;) {
    if (tokens.takeSymbol('.')) {
      const { kind, text } = tokens.next()
      if (kind !== 'word' && kind !== 'quoted') throw tokens.fault('ParseInvalidPathComponent')
      steps.push({ kind: 'name', name: text, isQuoted: kind === 'quoted' })
    } else if (tokens.takeSymbol('[')) {
      steps.push(parseIndex(tokens))
      tokens.wantSymbol(']')
    } else return steps
    if (steps.length > 100) throw new Fault('UnsupportedSqlStructure')
  }
}

function parseIndex(tokens: TokenStream): Step {
  if (tokens.takeSymbol('*')) return { kind: 'each' }
  const { kind, text } = tokens.next()
  if (kind === 'text') return { kind: 'name', name: text, isQuoted: true }
  if (kind !== 'number' || !/^\d{1,9}$/.test(text)) throw tokens.fault('ParseInvalidPathComponent')
  return { kind: 'index', index: Number(text) }
}
