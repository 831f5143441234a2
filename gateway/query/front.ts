import type { Authenticate, Authenticated } from '#gateway/auth/authenticate.ts'
import { conditionValues } from '#gateway/auth/condition-values.ts'
import type { RawRequest } from '#gateway/auth/request.ts'
import { faultOf } from '#gateway/errors.ts'
import type { S3Response } from '#gateway/operations/operation.ts'
import { Fault } from '#src/errors.ts'
import type { Caller } from '#src/model/identity.ts'
import type { QueryAccess } from '#src/service/access.ts'
import type { Services } from '#src/service/services.ts'
import { queryAnswer, queryError } from './answer.ts'
import { FormParameters } from './form-parameters.ts'
import type { QueryOperation, QueryRequest, QueryService } from './operation.ts'

/** A form posted to `/`: S3 itself has no such request, as its own forms go to buckets. */
export interface QueryIncoming extends RawRequest {
  readonly id: string
  readonly remoteAddress: string
  readonly isSecure: boolean
  readonly host: string
}

export interface QueryFrontParts {
  readonly services: Services
  readonly authenticate: Authenticate
  readonly access: QueryAccess
  /** The first one answers what belongs to none. */
  readonly apis: readonly [QueryService, ...QueryService[]]
}

/** Answers, also what goes wrong, in the form of these APIs; `name` is told which action it is, and who asks for it. */
export type QueryFront = (
  incoming: QueryIncoming,
  name: (action: string, caller: Caller) => void,
) => Promise<S3Response>

export function queryFront({ services, authenticate, access, apis }: QueryFrontParts): QueryFront {
  const tables = new Map(
    apis.map((api) => [api, new Map(api.operations.map((each) => [each.name, each] as const))] as const),
  )

  /** By the service that the signature is for; of what is not signed, by the action alone. */
  function find(service: string | undefined, action: string): readonly [QueryService, QueryOperation] | undefined {
    for (const [api, table] of tables) {
      const operation = service === undefined || service === api.name ? table.get(action) : undefined
      if (operation !== undefined) return [api, operation]
    }
    return undefined
  }

  function requestOf(incoming: QueryIncoming, authenticated: Authenticated, parameters: FormParameters): QueryRequest {
    const { id, remoteAddress, isSecure, host } = incoming
    const headers = authenticated.headers as Readonly<Record<string, string | undefined>>
    const values = conditionValues({ remoteAddress, isSecure, headers, query: new Map() })
    return { id, action: parameters.needed('Action'), parameters, caller: authenticated.caller, host, isSecure, values }
  }

  return async (incoming, name) => {
    let api = apis[0]
    try {
      const authenticated = await authenticate(incoming)
      const { caller, service } = authenticated
      api = apis.find((each) => each.name === service) ?? api
      const parameters = FormParameters.parse(await authenticated.body.collect(Number.POSITIVE_INFINITY))
      const action = parameters.text('Action')
      if (action === undefined) throw new Fault('MissingAction')
      const found = find(service, action)
      if (found === undefined) {
        if (caller.kind === 'anonymous') throw new Fault('MissingAuthenticationToken')
        throw new Fault('InvalidAction', { message: `Could not find operation ${action}` })
      }
      const [owner, operation] = found
      api = owner
      name(operation.name, caller)
      const version = parameters.text('Version')
      if (version !== undefined && version !== owner.version) {
        throw new Fault('InvalidAction', { message: `Could not find operation ${action} for version ${version}` })
      }
      const request = requestOf(incoming, authenticated, parameters)
      const result = await operation.handle({
        services,
        caller,
        request,
        authorize: (question) => access.authorizeQuery({ caller, ...question, values: both(question.values, request) }),
        authorizeTrust: (question) =>
          access.authorizeTrust({ caller, ...question, values: both(question.values, request) }),
      })
      return queryAnswer(owner, operation.name, incoming.id, result)
    } catch (thrown) {
      const { fault, isExpected } = faultOf(thrown)
      // What is a bug of ours is logged and answered as every other.
      if (!isExpected) throw thrown
      return queryError(api, fault, incoming.id)
    }
  }
}

const both = (more: QueryRequest['values'] | undefined, { values }: QueryRequest): QueryRequest['values'] =>
  more === undefined ? values : { get: (name) => more.get(name) ?? values.get(name) }
