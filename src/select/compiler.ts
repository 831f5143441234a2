import { Fault } from '#src/errors.ts'
import { type Aggregate, aggregateNamed } from './aggregates.ts'
import { type Columns, type Evaluate, member } from './columns.ts'
import { cast, functionNamed } from './functions.ts'
import { compileLike, type Like } from './like.ts'
import { arithmetic, compareBy, isEqual, truth } from './operators.ts'
import type { Expression, Query, Step } from './syntax.ts'
import { Timestamp } from './timestamp.ts'
import { boundedText, isList, toText, type Value } from './value.ts'

/** Of operators in operators; each takes some of the stack where it is evaluated. */
const depthMax = 1_000

type Of<Kind extends Expression['kind']> = Extract<Expression, { readonly kind: Kind }>

interface Accumulation {
  readonly aggregate: Aggregate
  readonly operand: Evaluate
}

/** Makes functions of expressions, for the records of one format. */
export class Compiler {
  /** What is added up over all records before the projections are evaluated, once. */
  readonly accumulations: Accumulation[] = []
  readonly #query: Query
  readonly #columns: Columns
  readonly #now: Timestamp
  readonly #tableNames: ReadonlySet<string>
  readonly #aliases = new Map<string, Evaluate | 'being made'>()
  #depth = 0
  #aggregates: 'allowed' | 'inside' | 'refused' = 'refused'
  /** Whether a column was used outside of an aggregate. */
  #usesRow = false
  #usesWholeRow = false

  constructor(query: Query, columns: Columns, now: number) {
    this.#query = query
    this.#columns = columns
    this.#now = new Timestamp(now, 0)
    const { alias, steps } = query.from
    const last = steps.at(-1)
    const implied = alias === undefined && last?.kind === 'name' ? last.name : undefined
    this.#tableNames = new Set([alias ?? implied ?? 's3object', 's3object'].map((name) => name.toLowerCase()))
  }

  /** Whether a record is used as a whole, beyond its columns. */
  get usesWholeRow(): boolean {
    return this.#usesWholeRow
  }

  condition(expression: Expression): (row: Value) => boolean {
    this.#aggregates = 'refused'
    const evaluate = this.#compile(expression)
    return (row) => truth(evaluate(row)) === true
  }

  projections(expressions: readonly Expression[]): readonly Evaluate[] {
    this.#aggregates = 'allowed'
    this.#usesRow = false
    const compiled = expressions.map((each) => this.#compile(each))
    if (this.accumulations.length > 0 && this.#usesRow) {
      throw new Fault('UnsupportedSqlStructure', {
        message: 'Columns and aggregates cannot be mixed without GROUP BY.',
      })
    }
    return compiled
  }

  #compile(expression: Expression): Evaluate {
    if (++this.#depth > depthMax) throw new Fault('UnsupportedSqlStructure')
    const compiled = this.#compileKind(expression)
    this.#depth--
    return compiled
  }

  #compileKind(expression: Expression): Evaluate {
    switch (expression.kind) {
      case 'literal':
        return () => expression.value
      case 'path':
        return this.#path(expression.steps)
      case 'negate':
        return this.#negate(expression.operand)
      case 'not':
        return this.#not(expression.operand)
      case 'binary':
        return this.#binary(expression)
      case 'like':
        return this.#like(expression)
      case 'between':
        return this.#between(expression)
      case 'in':
        return this.#in(expression)
      case 'is':
        return this.#is(expression)
      case 'case':
        return this.#case(expression)
      case 'cast':
        return this.#cast(expression)
      case 'call':
        return this.#call(expression)
      case 'aggregate':
        return this.#aggregate(expression)
    }
  }

  /** Whether the path is a text in double quotes, which no column of this format can have as its name. */
  #quotedText(expression: Expression): string | undefined {
    const step = this.#quotedStep(expression)
    if (step === undefined || this.#tableNames.has(step.name.toLowerCase())) return undefined
    if (this.#columns.column(step.name, true) !== undefined || this.#aliasNamed(step.name) !== undefined)
      return undefined
    return step.name
  }

  #path(steps: readonly Step[]): Evaluate {
    const text = this.#quotedText({ kind: 'path', steps })
    if (text !== undefined) return () => text
    const [first, ...rest] = steps
    if (first?.kind !== 'name') throw new Fault('ParseInvalidPathComponent')
    const isTable = this.#tableNames.has(first.name.toLowerCase())
    const [next] = rest
    const columns = this.#columns
    if (isTable && next?.kind !== 'name') {
      this.#usesWholeRow = true
      const isWhole = next === undefined
      return this.#fromRow(
        isWhole ? (row) => (isList(row) ? new Map(columns.entries(row)) : row) : follow((row) => row, rest),
      )
    }
    const [name, further] = isTable && next?.kind === 'name' ? [next, rest.slice(1)] : [first, rest]
    const column = columns.column(name.name, name.isQuoted)
    if (column !== undefined) return this.#fromRow(follow(column, further))
    const alias = isTable || further.length > 0 ? undefined : this.#aliasNamed(name.name)
    if (alias !== undefined) return this.#alias(name.name, alias)
    throw new Fault(columns.takesQuotedText ? 'EvaluatorBindingDoesNotExist' : 'MissingHeaders', {
      message: `alias {${name.name.slice(0, 100)}} or column not exist in schema`,
    })
  }

  #fromRow(evaluate: Evaluate): Evaluate {
    if (this.#aggregates === 'allowed') this.#usesRow = true
    return evaluate
  }

  #aliasNamed(name: string): Expression | undefined {
    const lower = name.toLowerCase()
    return this.#query.projections?.find(({ alias }) => alias?.toLowerCase() === lower)?.expression
  }

  /** Evaluated once for a record, however often it is named: otherwise aliases of aliases would double the work each. */
  #alias(name: string, expression: Expression): Evaluate {
    const lower = name.toLowerCase()
    const known = this.#aliases.get(lower)
    if (known === 'being made') {
      throw new Fault('EvaluatorBindingDoesNotExist', {
        message: 'number of calls exceed maximum size, probably a cyclic reference to alias',
      })
    }
    if (known !== undefined) return this.#fromRow(known)
    this.#aliases.set(lower, 'being made')
    const before = this.#aggregates
    this.#aggregates = 'refused'
    const evaluate = this.#compile(expression)
    this.#aggregates = before
    let last: { readonly row: Value; readonly value: Value } | undefined
    const cached: Evaluate = (row) => {
      if (last === undefined || last.row !== row) last = { row, value: evaluate(row) }
      return last.value
    }
    this.#aliases.set(lower, cached)
    return this.#fromRow(cached)
  }

  #negate(expression: Expression): Evaluate {
    const operand = this.#compile(expression)
    return (row) => arithmetic('-', 0n, operand(row))
  }

  #not(expression: Expression): Evaluate {
    const operand = this.#compile(expression)
    return (row) => {
      const value = truth(operand(row))
      return value === null ? null : !value
    }
  }

  #binary({ operator, left, right }: Of<'binary'>): Evaluate {
    const [one, other] = [this.#compile(left), this.#compile(right)]
    if (operator === 'and' || operator === 'or') {
      const decisive = operator === 'or'
      return (row) => {
        const first = truth(one(row))
        if (first === decisive) return decisive
        const second = truth(other(row))
        return second === decisive ? decisive : first === null ? null : second
      }
    }
    if (operator === '||') {
      return (row) => {
        const [first, second] = [one(row), other(row)]
        if (first === null || first === undefined || second === null || second === undefined) return null
        return boundedText(toText(first) + toText(second))
      }
    }
    if ('+-*/%'.includes(operator)) return (row) => arithmetic(operator, one(row), other(row))
    return (row) => compareBy(operator, one(row), other(row))
  }

  #like({ operands }: Of<'like'>): Evaluate {
    const [value, pattern, mark] = operands
    if (value === undefined || pattern === undefined) throw new Fault('LikeInvalidInputs')
    const quoted = this.#quotedPattern(pattern)
    const hasClasses = quoted !== undefined
    const compiled = [value, quoted ?? pattern, ...operands.slice(2)].map((each) => this.#compile(each))
    let last: { readonly key: string; readonly like: Like } | undefined
    return (row) => {
      const [text, form, escapes] = compiled.map((each) => each(row))
      if (text === null || text === undefined || form === null || form === undefined) return null
      if (typeof form !== 'string' || (mark !== undefined && typeof escapes !== 'string')) {
        throw new Fault('LikeInvalidInputs')
      }
      const key = `${escapes?.toString() ?? ''}\0${form}`
      if (last?.key !== key) last = { key, like: compileLike(form, { escapes: escapes?.toString(), hasClasses }) }
      return last.like(toText(text))
    }
  }

  /** In double quotes, a pattern is text here even where it looks like a column: `_3` is a fine pattern. */
  #quotedPattern(expression: Expression): Expression | undefined {
    const step = this.#quotedStep(expression)
    return step === undefined ? undefined : { kind: 'literal', value: step.name }
  }

  #quotedStep(expression: Expression): { readonly name: string } | undefined {
    if (expression.kind !== 'path' || !this.#columns.takesQuotedText || expression.steps.length !== 1) return undefined
    const [step] = expression.steps
    return step?.kind === 'name' && step.isQuoted ? step : undefined
  }

  #between({ operands }: Of<'between'>): Evaluate {
    // Compiled once each: twice would double the work with every BETWEEN inside of another.
    const [value, low, high] = operands.map((each) => this.#compile(each))
    return (row) => {
      const one = value?.(row)
      const isAbove = compareBy('>=', one, low?.(row))
      if (isAbove === false) return false
      const isBelow = compareBy('<=', one, high?.(row))
      return isBelow === false ? false : isAbove === null ? null : isBelow
    }
  }

  #in({ value, options }: Of<'in'>): Evaluate {
    const wanted = this.#compile(value)
    const compiled = options.map((each) => this.#compile(each))
    return (row) => {
      const one = wanted(row)
      let answer: boolean | null = false
      for (const each of compiled) {
        const option = each(row)
        for (const other of isList(option) ? option : [option]) {
          const equal = isEqual(one, other)
          if (equal === true) return true
          if (equal === null) answer = null
        }
      }
      return answer
    }
  }

  #is({ operand, what }: Of<'is'>): Evaluate {
    const evaluate = this.#compile(operand)
    if (what === 'missing') return (row) => evaluate(row) === undefined
    return (row) => {
      const value = evaluate(row)
      return value === null || value === undefined
    }
  }

  #case({ subject, branches, otherwise }: Of<'case'>): Evaluate {
    const base = subject === undefined ? undefined : this.#compile(subject)
    const compiled = branches.map((each) => ({ when: this.#compile(each.when), result: this.#compile(each.result) }))
    const last = otherwise === undefined ? () => null : this.#compile(otherwise)
    return (row) => {
      const value = base?.(row)
      for (const { when, result } of compiled) {
        const found = when(row)
        if ((base === undefined ? truth(found) : isEqual(value, found)) === true) return result(row)
      }
      return last(row)
    }
  }

  #cast({ operand, type }: Of<'cast'>): Evaluate {
    const evaluate = this.#compile(operand)
    return (row) => cast(evaluate(row), type)
  }

  #call({ name, args, part }: Of<'call'>): Evaluate {
    if (name === 'utcnow') return () => this.#now
    const compiled = args.map((each) => this.#compile(each))
    const call = functionNamed(name, part)
    return (row) => call(compiled.map((each) => each(row)))
  }

  #aggregate({ name, operand }: Of<'aggregate'>): Evaluate {
    if (this.#aggregates !== 'allowed') throw new Fault('UnsupportedSqlOperation')
    this.#aggregates = 'inside'
    const evaluate = operand === undefined ? () => true : this.#compile(operand)
    this.#aggregates = 'allowed'
    const aggregate = aggregateNamed(name)
    this.accumulations.push({ aggregate, operand: evaluate })
    return () => aggregate.result()
  }
}

function follow(evaluate: Evaluate, steps: readonly Step[]): Evaluate {
  if (steps.length === 0) return evaluate
  return (row) => {
    let value = evaluate(row)
    for (const step of steps) {
      if (step.kind === 'name') value = member(value, step.name, step.isQuoted)
      else value = step.kind === 'index' && isList(value) ? value[step.index] : undefined
    }
    return value
  }
}
