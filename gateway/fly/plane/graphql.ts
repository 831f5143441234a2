import { type DocumentNode, execute, GraphQLError, parse, validate } from 'graphql'
import { type FlyAnswer, type FlyRequest, jsonAnswer, type Route } from '#gateway/fly/exchange.ts'
import type { FlyParts } from '#gateway/fly/parts.ts'
import { isFields } from '#src/model/provision.ts'
import { type Asking, graphqlErrorOf, whoAsks } from './asking.ts'
import { Mutations } from './mutations.ts'
import { Queries } from './queries.ts'
import { schema } from './schema.ts'
import { Values } from './values.ts'

/** Of a document: the longest that flyctl sends has some 150. */
const tokensMost = 2_000

interface Asked {
  readonly query: string
  readonly variables: Readonly<Record<string, unknown>>
  readonly operation: string | undefined
}

/** What flyctl asks by GraphQL. Errors are answered with 200, as Fly does: flyctl shows them only so. */
export class GraphQL {
  readonly #parts: FlyParts
  readonly #roots: Readonly<Record<string, unknown>>

  constructor(parts: FlyParts) {
    this.#parts = parts
    const values = new Values(parts)
    const queries = new Queries(parts, values)
    this.#roots = { ...queries.roots(), ...new Mutations(parts, values, queries).roots() }
  }

  routes(): readonly Route[] {
    return [{ method: 'POST', path: '/graphql', handle: (request) => this.#answer(request) }]
  }

  async #answer(request: FlyRequest): Promise<FlyAnswer> {
    const asked = askedOf(request.body)
    if (asked === undefined) return refused(new GraphQLError('The body is no request of GraphQL.'))
    const document = this.#parsed(asked)
    if (document instanceof GraphQLError) return refused(document)
    const asking: Asking = { who: await whoAsks(this.#parts, request), listed: 0 }
    const result = await execute({
      schema,
      document,
      rootValue: this.#roots,
      contextValue: asking,
      variableValues: asked.variables,
      ...(asked.operation !== undefined && { operationName: asked.operation }),
    })
    const errors = result.errors?.map((each) => this.#said(each))
    // A client that is shown part of an answer takes it for all of it.
    return jsonAnswer(200, errors === undefined ? { data: result.data } : { data: null, errors })
  }

  #said(thrown: GraphQLError): unknown {
    const { error, isBug } = graphqlErrorOf(thrown.originalError ?? thrown)
    if (isBug) this.#parts.log.error('an operation of GraphQL failed', { error: thrown.originalError })
    const { locations, path } = thrown
    return { message: error.message, locations, path, extensions: error.extensions }
  }

  #parsed({ query, operation }: Asked): DocumentNode | GraphQLError {
    let document: DocumentNode
    try {
      document = parse(query, { maxTokens: tokensMost, noLocation: false })
    } catch (error) {
      return error instanceof GraphQLError ? error : new GraphQLError('The query cannot be read.')
    }
    const [first] = validate(schema, document, undefined, { maxErrors: 1 })
    if (first === undefined) return document
    const name = operation ?? rootFields(document)
    // A new flyctl asks what this one does not know: whoever runs it must see what.
    this.#parts.log.warn('an operation of GraphQL is not known', { operation: name, reason: first.message })
    return new GraphQLError(`Meridian does not answer the operation ${name}: ${first.message}`, {
      extensions: { code: 'UNHANDLED_OPERATION' },
    })
  }
}

const rootFields = ({ definitions }: DocumentNode): string =>
  definitions
    .flatMap((each) => (each.kind === 'OperationDefinition' ? each.selectionSet.selections : []))
    .map((each) => (each.kind === 'Field' ? each.name.value : '…'))
    .join(', ')
    .slice(0, 200)

function askedOf(body: Buffer): Asked | undefined {
  let value: unknown
  try {
    value = JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
  if (!isFields(value)) return undefined
  const { query, variables, operationName } = value
  if (typeof query !== 'string') return undefined
  return {
    query,
    variables: isFields(variables) ? variables : {},
    operation: typeof operationName === 'string' && operationName !== '' ? operationName : undefined,
  }
}

const refused = (error: GraphQLError): FlyAnswer =>
  jsonAnswer(200, { data: null, errors: [{ message: error.message, extensions: error.extensions }] })
