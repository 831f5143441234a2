import { Fault } from '#src/errors.ts'
import type { AggregateName, CastType, Expression } from './syntax.ts'
import { dateParts, extractParts } from './timestamp.ts'
import type { TokenStream } from './token-stream.ts'

/** Expressions contain calls, and calls expressions. */
type ParseInner = (tokens: TokenStream) => Expression

const castTypes = new Map<string, CastType>([
  ...(['bool', 'boolean'] as const).map((name) => [name, 'bool'] as const),
  ...(['int', 'integer', 'bigint', 'smallint'] as const).map((name) => [name, 'int'] as const),
  ...(['string', 'char', 'character', 'varchar'] as const).map((name) => [name, 'string'] as const),
  ...(['float', 'real', 'double'] as const).map((name) => [name, 'float'] as const),
  ...(['decimal', 'numeric', 'dec'] as const).map((name) => [name, 'decimal'] as const),
  ['timestamp', 'timestamp'],
])

const aggregates: ReadonlySet<string> = new Set(['count', 'sum', 'avg', 'min', 'max'])
const isAggregate = (name: string): name is AggregateName => aggregates.has(name)

/** Least and most arguments. */
const functions: Readonly<Record<string, readonly [number, number]>> = {
  char_length: [1, 1],
  character_length: [1, 1],
  coalesce: [1, 1_000],
  lower: [1, 1],
  nullif: [2, 2],
  substring: [2, 3],
  to_string: [2, 2],
  to_timestamp: [1, 2],
  trim: [1, 2],
  upper: [1, 1],
  utcnow: [0, 0],
}

export function isCall(tokens: TokenStream): boolean {
  return tokens.isSymbol('(', 1)
}

export function parseCase(tokens: TokenStream, inner: ParseInner): Expression {
  tokens.wantKeyword('case')
  const subject = tokens.isKeyword('when') ? undefined : inner(tokens)
  const branches: { when: Expression; result: Expression }[] = []
  while (tokens.takeKeyword('when')) {
    const when = inner(tokens)
    tokens.wantKeyword('then')
    branches.push({ when, result: inner(tokens) })
  }
  if (branches.length === 0) throw tokens.fault('ParseExpectedWhenClause')
  const otherwise = tokens.takeKeyword('else') ? inner(tokens) : undefined
  tokens.wantKeyword('end')
  return {
    kind: 'case',
    branches,
    ...(subject !== undefined && { subject }),
    ...(otherwise !== undefined && { otherwise }),
  }
}

export function parseCast(tokens: TokenStream, inner: ParseInner): Expression {
  tokens.wantKeyword('cast')
  tokens.wantSymbol('(', 'ParseExpectedLeftParenAfterCast')
  const operand = inner(tokens)
  tokens.wantKeyword('as')
  const type = castTypes.get(tokens.peek().lower)
  if (type === undefined) throw tokens.fault('ParseExpectedTypeName')
  tokens.next()
  tokens.takeKeyword('precision')
  if (tokens.takeSymbol('(')) skipTypeArguments(tokens)
  tokens.wantSymbol(')', 'ParseExpectedRightParenBuiltinFunctionCall')
  return { kind: 'cast', operand, type }
}

/** Lengths, precision and scale, which S3 ignores too. */
function skipTypeArguments(tokens: TokenStream): void {
  do {
    if (tokens.peek().kind !== 'number') throw tokens.fault('ParseExpectedNumber')
    tokens.next()
  } while (tokens.takeSymbol(','))
  tokens.wantSymbol(')')
}

export function parseCall(tokens: TokenStream, inner: ParseInner): Expression {
  const name = tokens.next().lower
  tokens.next()
  if (isAggregate(name)) return parseAggregate(tokens, name, inner)
  if (name === 'extract') return parseExtract(tokens, inner)
  if (name === 'date_add' || name === 'date_diff') return parseDateCall(tokens, name, inner)
  if (name === 'trim') return parseTrim(tokens, inner)
  const type = castTypes.get(name)
  const args = parseArguments(tokens, inner, name === 'substring' ? ['from', 'for'] : [])
  if (type !== undefined && args.length === 1 && args[0] !== undefined) {
    return { kind: 'cast', operand: args[0], type }
  }
  const arity = Object.hasOwn(functions, name) ? functions[name] : undefined
  if (arity === undefined) throw new Fault('UnsupportedFunction', { FunctionName: name.slice(0, 100) })
  if (args.length < arity[0] || args.length > arity[1]) throw new Fault('EvaluatorInvalidArguments')
  return { kind: 'call', name: name === 'character_length' ? 'char_length' : name, args }
}

/** Up to the closing bracket; `words` may stand instead of commas. */
function parseArguments(tokens: TokenStream, inner: ParseInner, words: readonly string[]): readonly Expression[] {
  const args: Expression[] = []
  if (tokens.takeSymbol(')')) return args
  do args.push(inner(tokens))
  while (tokens.takeSymbol(',') || words.some((word) => tokens.takeKeyword(word)))
  tokens.wantSymbol(')', 'ParseExpectedArgumentDelimiter')
  return args
}

function parseAggregate(tokens: TokenStream, name: AggregateName, inner: ParseInner): Expression {
  if (tokens.takeSymbol('*')) {
    if (name !== 'count') throw tokens.fault('ParseUnsupportedCallWithStar')
    tokens.wantSymbol(')', 'ParseExpectedRightParenBuiltinFunctionCall')
    return { kind: 'aggregate', name }
  }
  const [operand, ...more] = parseArguments(tokens, inner, [])
  if (operand === undefined || more.length > 0) throw tokens.fault('ParseNonUnaryAgregateFunctionCall')
  return { kind: 'aggregate', name, operand }
}

function takePart(tokens: TokenStream, parts: ReadonlySet<string>): string {
  const { lower } = tokens.peek()
  if (!parts.has(lower)) throw tokens.fault('ParseExpectedDatePart')
  tokens.next()
  return lower
}

function parseExtract(tokens: TokenStream, inner: ParseInner): Expression {
  const part = takePart(tokens, extractParts)
  tokens.wantKeyword('from')
  const operand = inner(tokens)
  tokens.wantSymbol(')', 'ParseExpectedRightParenBuiltinFunctionCall')
  return { kind: 'call', name: 'extract', args: [operand], part }
}

function parseDateCall(tokens: TokenStream, name: string, inner: ParseInner): Expression {
  const part = takePart(tokens, dateParts)
  tokens.wantSymbol(',', 'ParseExpectedArgumentDelimiter')
  const args = parseArguments(tokens, inner, [])
  if (args.length !== 2) throw new Fault('EvaluatorInvalidArguments')
  return { kind: 'call', name, args, part }
}

/** `TRIM([[LEADING | TRAILING | BOTH] [characters] FROM] text)`; the text is the first argument. */
function parseTrim(tokens: TokenStream, inner: ParseInner): Expression {
  const { lower, kind } = tokens.peek()
  const isPart = kind === 'word' && ['leading', 'trailing', 'both'].includes(lower)
  const part = isPart ? tokens.next().lower : 'both'
  const first = isPart && tokens.isKeyword('from') ? undefined : inner(tokens)
  const hasFrom = tokens.takeKeyword('from')
  const text = hasFrom ? inner(tokens) : first
  tokens.wantSymbol(')', 'ParseExpectedRightParenBuiltinFunctionCall')
  if (text === undefined || (isPart && !hasFrom)) throw new Fault('EvaluatorInvalidArguments')
  return { kind: 'call', name: 'trim', args: hasFrom && first !== undefined ? [text, first] : [text], part }
}
