import assert from 'node:assert/strict'
import type { Match, Method, Scope } from './operations/operation.ts'

/**
 * Which operation a request asks for.
 *
 * D1  of the operations whose keys are all there, the one that asks for most is taken; among equals, the one registered first.
 * D2  no two operations match the same requests: the table is refused when it is made.
 * D3  a sub-resource that S3 knows, asked for by a method that it does not have, is never taken for the resource itself:
 *     `DELETE /bucket/key?acl` deletes no object.
 */
export interface Target {
  readonly method: string
  readonly scope: Scope
  readonly query: ReadonlyMap<string, string>
  readonly headers: Readonly<Record<string, unknown>>
}

export interface Matching {
  readonly name: string
  readonly match: Match
}

const address = ({ method, scope, keys = [] }: Match): string => [method, scope, ...[...keys].sort()].join(' ')

/** A key is a header (`x-amz-copy-source`), a query name (`uploads`), or a query name and its value (`list-type=2`). */
type Test = (target: Target) => boolean

function test(key: string): Test {
  const [name = '', wanted] = key.split('=')
  if (isHeader(key)) return ({ headers }) => headers[key] !== undefined
  if (wanted === undefined) return ({ query }) => query.has(name)
  return ({ query }) => query.get(name) === wanted
}

const isHeader = (key: string): boolean => key.startsWith('x-amz-')

/** Query names that narrow an operation and are no resource of their own, so that they may stand beside any. */
const parameters = new Set(['annotationName', 'id', 'list-type', 'partNumber', 'select-type', 'x-id'])

interface Candidate<Each> {
  readonly operation: Each
  readonly tests: readonly Test[]
}

interface Table<Each> {
  /** Those with keys, heaviest first. */
  readonly keyed: readonly Candidate<Each>[]
  readonly plain: Each | undefined
}

function tableOf<Each extends Matching>(operations: readonly Each[]): Table<Each> {
  const weight = (each: Each): number => each.match.keys?.length ?? 0
  const keyed = operations
    .filter((each) => weight(each) > 0)
    .sort((a, b) => weight(b) - weight(a))
    .map((each) => ({ operation: each, tests: (each.match.keys ?? []).map(test) }))
  return { keyed, plain: operations.find((each) => weight(each) === 0) }
}

function subResources(operations: readonly Matching[]): ReadonlyMap<Scope, readonly string[]> {
  const names = { service: new Set<string>(), bucket: new Set<string>(), object: new Set<string>() }
  for (const { match } of operations) {
    for (const key of match.keys ?? []) {
      const [name = ''] = key.split('=')
      if (!isHeader(key) && !parameters.has(name)) names[match.scope].add(name)
    }
  }
  return new Map(Object.entries(names).map(([scope, each]) => [scope as Scope, [...each]]))
}

/** The operation a request asks for; undefined: S3 has none (MethodNotAllowed). */
export function dispatcher<Each extends Matching>(operations: readonly Each[]): (target: Target) => Each | undefined {
  const addresses = operations.map((each) => address(each.match))
  assert.equal(new Set(addresses).size, operations.length, 'D2: two operations match the same requests')

  const groups = Map.groupBy(operations, ({ match }) => `${match.method} ${match.scope}`)
  const tables = new Map([...groups].map(([key, each]) => [key, tableOf(each)]))
  const known = subResources(operations)

  return (target) => {
    const table = tables.get(`${target.method} ${target.scope}`)
    if (table === undefined) return undefined
    const candidate = table.keyed.find(({ tests }) => tests.every((each) => each(target)))
    if (candidate !== undefined) return candidate.operation
    // HEAD changes nothing, and clients do send it with what they last sent with GET.
    const isSubResource =
      target.query.size > 0 &&
      target.method !== 'HEAD' &&
      known.get(target.scope)?.some((name) => target.query.has(name)) === true
    return isSubResource ? undefined : table.plain
  }
}

const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS', 'PATCH'])

export const isMethod = (method: string): method is Method => methods.has(method)
