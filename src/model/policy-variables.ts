import { malformed } from './policy-json.ts'
import { compilePattern, joinPattern, type Pattern, type Piece, split } from './wildcard.ts'

/**
 * What a request says of itself, under the names that conditions and variables use: in lower case up to the first `/`, what
 * follows (the name of a tag) as it is. Undefined: the request has no such value.
 */
export interface ConditionValues {
  get(name: string): readonly string[] | undefined
}

/** A pattern that may have policy variables in it. */
export interface Template {
  readonly source: string
  /** Where there are no variables. */
  readonly fixed: Pattern | undefined
  readonly parts: readonly Part[]
}

type Part = Piece | { readonly variable: string; readonly fallback: string | undefined }

/** Condition names compare without regard to case, tags' names with. */
export function conditionName(name: string): string {
  const slash = name.indexOf('/')
  return slash < 0 ? name.toLowerCase() : name.slice(0, slash).toLowerCase() + name.slice(slash)
}

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html */
export function parseTemplate(source: string, hasVariables: boolean): Template {
  if (!hasVariables || !source.includes('${')) return { source, fixed: compilePattern(source), parts: [] }
  const parts: Part[] = []
  let at = 0
  for (;;) {
    const start = source.indexOf('${', at)
    if (start < 0) break
    const end = source.indexOf('}', start)
    if (end < 0) throw malformed('Invalid policy variable')
    parts.push(...split(source.slice(at, start)), parseVariable(source.slice(start + 2, end)))
    at = end + 1
  }
  parts.push(...split(source.slice(at)))
  return { source, fixed: undefined, parts }
}

function parseVariable(text: string): Part {
  if (text === '*' || text === '?' || text === '$') return { literal: text }
  const comma = text.indexOf(',')
  if (comma < 0) return { variable: conditionName(text.trim()), fallback: undefined }
  const fallback = text.slice(comma + 1).trim()
  if (fallback.length < 2 || !fallback.startsWith("'") || !fallback.endsWith("'")) {
    throw malformed('Invalid policy variable')
  }
  return { variable: conditionName(text.slice(0, comma).trim()), fallback: fallback.slice(1, -1) }
}

/** Undefined where a variable has no one value: then the text matches nothing. What a variable brings in is literal. */
export function patternOf(template: Template, values: ConditionValues): Pattern | undefined {
  if (template.fixed !== undefined) return template.fixed
  const pieces: Piece[] = []
  for (const part of template.parts) {
    const piece = pieceOf(part, values)
    if (piece === undefined) return undefined
    pieces.push(piece)
  }
  return joinPattern(pieces)
}

/** The text, for operators that know no wildcards. */
export function textOf(template: Template, values: ConditionValues): string | undefined {
  if (template.fixed !== undefined) return template.source
  let text = ''
  for (const part of template.parts) {
    const piece = pieceOf(part, values)
    if (piece === undefined) return undefined
    text += typeof piece === 'string' ? piece : piece.literal
  }
  return text
}

function pieceOf(part: Part, values: ConditionValues): Piece | undefined {
  if (typeof part === 'string' || 'literal' in part) return part
  const value = values.get(part.variable)
  const literal = value?.length === 1 ? value[0] : part.fallback
  return literal === undefined ? undefined : { literal }
}

/** Whether all its variables have values. AWS: a statement with one that has none applies to nothing. */
export const resolves = (template: Template, values: ConditionValues): boolean =>
  template.parts.every((part) => pieceOf(part, values) !== undefined)

export const readsVariable = (template: Template, prefix: string): boolean =>
  template.parts.some((part) => typeof part === 'object' && 'variable' in part && part.variable.startsWith(prefix))
