import { type Comparison, comparisons } from './policy-comparisons.ts'
import { asFields, malformed } from './policy-json.ts'
import { type ConditionValues, conditionName, parseTemplate, readsVariable, resolves } from './policy-variables.ts'

/**
 * The Condition element: all of its operators and names must hold, any of the values of one name will do.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
 */
export interface Condition {
  /** Without quantifier and IfExists. */
  readonly operator: string
  readonly quantifier: 'all' | 'any' | undefined
  readonly name: string
  /** As they stand in the document. */
  readonly values: readonly string[]
  readonly ifExists: boolean
  readonly readsExistingTags: boolean
  holds(values: ConditionValues): boolean
}

const existingTags = 's3:existingobjecttag/'

export function parseConditions(value: unknown, hasVariables: boolean): readonly Condition[] {
  const conditions: Condition[] = []
  for (const [operator, names] of Object.entries(asFields(value, 'Condition must be an object'))) {
    for (const [name, wanted] of Object.entries(asFields(names, 'Conditions must be an object'))) {
      conditions.push(parseCondition(operator, name, wanted, hasVariables))
    }
  }
  return conditions
}

const quantified = /^(?:(ForAllValues|ForAnyValue):)?([A-Za-z]+?)(IfExists)?$/

function parseCondition(text: string, name: string, wanted: unknown, hasVariables: boolean): Condition {
  const [, quantifierName, operator = '', ifExistsSuffix] = quantified.exec(text) ?? []
  if (!/^[A-Za-z0-9][\w.:/~%-]*:./.test(name) || !name.isWellFormed())
    throw malformed('Policy has an invalid condition key')
  const values = valuesOf(wanted)
  const quantifier = quantifierName === undefined ? undefined : quantifierName === 'ForAllValues' ? 'all' : 'any'
  const ifExists = ifExistsSuffix !== undefined
  const shape = { operator, quantifier, name: conditionName(name), values, ifExists } as const
  const isNull = operator === 'Null' && !ifExists && quantifier === undefined
  const comparison = comparisons.get(operator)
  if (comparison === undefined && !isNull) throw malformed(`Invalid Condition type : ${text}`)
  const templates = values.map((each) => parseTemplate(each, hasVariables && (comparison?.hasVariables ?? false)))
  const readsExistingTags =
    shape.name.startsWith(existingTags) || templates.some((each) => readsVariable(each, existingTags))
  if (comparison === undefined) {
    return { ...shape, readsExistingTags, holds: isAbsent(shape.name, values) }
  }
  const test = comparison.compile(templates)
  const open = templates.filter((each) => each.fixed === undefined)
  return {
    ...shape,
    readsExistingTags,
    holds: (context) => open.every((each) => resolves(each, context)) && compare(shape, comparison, test, context),
  }
}

function valuesOf(wanted: unknown): readonly string[] {
  const list: readonly unknown[] = Array.isArray(wanted) ? wanted : [wanted]
  if (list.length === 0) throw malformed('Condition values must not be empty')
  return list.map((each) => {
    const isPlain = typeof each === 'string' || typeof each === 'boolean' || typeof each === 'number'
    if (!isPlain || !String(each).isWellFormed()) throw malformed('Condition values must be strings')
    return String(each)
  })
}

function isAbsent(name: string, wanted: readonly string[]): (values: ConditionValues) => boolean {
  for (const each of wanted) if (!/^(true|false)$/i.test(each)) throw malformed('Null takes true or false')
  const expected = new Set(wanted.map((each) => each.toLowerCase() === 'true'))
  return (values) => expected.has(values.get(name) === undefined)
}

type Test = (value: string, values: ConditionValues) => boolean

/**
 * `test` says whether a value is among the wanted ones. Without a quantifier a request's several values count as one that is
 * each of them: a positive operator holds if any is wanted, a negated one if none is.
 */
function compare(
  condition: Pick<Condition, 'quantifier' | 'name' | 'ifExists'>,
  comparison: Comparison,
  test: Test,
  context: ConditionValues,
): boolean {
  const { quantifier, name, ifExists } = condition
  const { isNegated } = comparison
  const given = context.get(name)
  if (given === undefined || given.length === 0) {
    if (ifExists || quantifier === 'all') return true
    return quantifier === 'any' ? false : isNegated
  }
  const isWanted = (value: string): boolean => test(value, context)
  if (quantifier === 'all') return isNegated ? !given.some(isWanted) : given.every(isWanted)
  if (quantifier === 'any') return isNegated ? !given.every(isWanted) : given.some(isWanted)
  return isNegated ? !given.some(isWanted) : given.some(isWanted)
}
