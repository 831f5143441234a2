import { Fault } from '#src/errors.ts'
import { parseExpression, parseSteps } from './expression-parser.ts'
import type { Projection, Query, Source } from './syntax.ts'
import { TokenStream } from './token-stream.ts'

/**
 * The SQL of S3 Select: https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-select-sql-reference.html
 *
 * Where AWS knows only errors, we understand what clients of Ceph write: `stdin` for S3Object, `int(x)` for a cast, a projection's
 * alias in other expressions, and double quotes around text (docs/decisions/014-select.md).
 */
export function parseQuery(source: string): Query {
  const tokens = new TokenStream(source)
  if (tokens.peek().kind === 'end') throw new Fault('ParseEmptySelect')
  tokens.wantKeyword('select')
  const projections = parseProjections(tokens)
  tokens.wantKeyword('from', 'ParseSelectMissingFrom')
  const from = parseSource(tokens)
  const where = tokens.takeKeyword('where') ? parseExpression(tokens) : undefined
  const limit = tokens.takeKeyword('limit') ? parseLimit(tokens) : undefined
  tokens.takeSymbol(';')
  if (tokens.peek().kind !== 'end') throw unexpected(tokens)
  return { projections, from, ...(where !== undefined && { where }), ...(limit !== undefined && { limit }) }
}

function unexpected(tokens: TokenStream): Fault {
  for (const clause of ['group', 'order', 'having', 'join', 'inner', 'left', 'union', 'offset']) {
    if (tokens.isKeyword(clause)) return tokens.fault('UnsupportedSqlStructure')
  }
  if (tokens.isSymbol(',')) return tokens.fault('MultipleDataSourcesUnsupported')
  return tokens.fault('ParseUnexpectedToken')
}

function parseProjections(tokens: TokenStream): readonly Projection[] | undefined {
  if (tokens.isKeyword('distinct') || tokens.isKeyword('all')) throw tokens.fault('UnsupportedSqlStructure')
  if (tokens.isKeyword('from')) throw tokens.fault('ParseEmptySelect')
  if (isStar(tokens)) {
    if (tokens.isSymbol(',')) throw tokens.fault('ParseAsteriskIsNotAloneInSelectList')
    return undefined
  }
  const projections: Projection[] = []
  do {
    if (tokens.isSymbol('*')) throw tokens.fault('ParseAsteriskIsNotAloneInSelectList')
    projections.push(parseProjection(tokens))
  } while (tokens.takeSymbol(','))
  return projections
}

/** `*`, or `s.*`. */
function isStar(tokens: TokenStream): boolean {
  if (tokens.takeSymbol('*')) return true
  const hasName = ['word', 'quoted'].includes(tokens.peek().kind)
  if (!hasName || !tokens.isSymbol('.', 1) || !tokens.isSymbol('*', 2)) return false
  for (let taken = 0; taken < 3; taken++) tokens.next()
  return true
}

function parseProjection(tokens: TokenStream): Projection {
  const expression = parseExpression(tokens)
  if (tokens.takeKeyword('as')) return { expression, alias: parseAlias(tokens) }
  const { kind } = tokens.peek()
  const isAlias = kind === 'quoted' || (kind === 'word' && !tokens.isKeyword('from'))
  return isAlias ? { expression, alias: parseAlias(tokens) } : { expression }
}

function parseAlias(tokens: TokenStream): string {
  const { kind } = tokens.peek()
  if (kind !== 'word' && kind !== 'quoted') throw tokens.fault('ParseExpectedIdentForAlias')
  return tokens.next().text
}

function parseSource(tokens: TokenStream): Source {
  const { kind, lower } = tokens.peek()
  if (kind !== 'word' || (lower !== 's3object' && lower !== 'stdin')) throw tokens.fault('InvalidDataSource')
  tokens.next()
  const steps = parseSteps(tokens)
  if (tokens.takeKeyword('as')) return { steps, alias: parseAlias(tokens) }
  const next = tokens.peek()
  const isAlias = next.kind === 'quoted' || (next.kind === 'word' && !clauses.has(next.lower))
  return isAlias ? { steps, alias: parseAlias(tokens) } : { steps }
}

const clauses: ReadonlySet<string> = new Set([
  ...['where', 'limit', 'group', 'order', 'having', 'join', 'inner', 'left', 'union', 'offset', 'at'],
])

function parseLimit(tokens: TokenStream): number {
  if (tokens.isSymbol('-')) throw tokens.fault('EvaluatorNegativeLimit')
  const { kind, text } = tokens.peek()
  if (kind !== 'number' || !/^\d{1,15}$/.test(text)) throw tokens.fault('ParseExpectedNumber')
  tokens.next()
  return Number(text)
}
