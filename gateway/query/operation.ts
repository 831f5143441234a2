import type { Child } from '#gateway/xml/render.ts'
import type { Caller } from '#src/model/identity.ts'
import type { Policy } from '#src/model/policy-document.ts'
import type { ConditionValues } from '#src/model/policy-variables.ts'
import type { TrustQuestion } from '#src/service/access.ts'
import type { Services } from '#src/service/services.ts'
import type { FormParameters } from './form-parameters.ts'

/** A call of one of AWS's query APIs (IAM, STS, SNS): a form that names an Action, posted to `/`. */
export interface QueryRequest {
  readonly id: string
  readonly action: string
  readonly parameters: FormParameters
  readonly caller: Caller
  /** The host asked for, with the port. */
  readonly host: string
  readonly isSecure: boolean
  /** What conditions of policies see of the request. */
  readonly values: ConditionValues
}

/** Asks whether the caller may do something to what an ARN names; `AccessDenied` otherwise. */
export interface QueryQuestion {
  readonly action: string
  readonly resource: string
  /** What conditions see beside the request's own values: tags, of the request and of the resource. */
  readonly values?: ConditionValues
  /** The resource's own policy, where it has one. */
  readonly resourcePolicy?: { readonly policy: Policy; readonly realm: string }
}

export interface QueryContext {
  readonly services: Services
  readonly caller: Caller
  readonly request: QueryRequest
  authorize(question: QueryQuestion): void
  /** Whether a role lets itself be taken on. */
  authorizeTrust(question: Omit<TrustQuestion, 'caller'>): void
}

interface Definition<Input, Output> {
  /** AWS's own name of the operation, which the form gives as its Action. */
  readonly name: string
  decode(parameters: FormParameters, request: QueryRequest): Input
  /** Asks `context.authorize`, or does nothing where AWS asks for no permission. Runs before `run`. */
  authorize(input: Input, context: QueryContext): void | Promise<void>
  run(input: Input, context: QueryContext): Promise<Output>
  /** The children of the Result element; undefined: the answer has none. */
  encode?(output: Output, context: QueryContext): readonly Child[]
}

export interface QueryOperation {
  readonly name: string
  handle(context: QueryContext): Promise<readonly Child[] | undefined>
}

/** Seals a definition so that operations of different shapes fit one table. */
export function queryOperation<Input, Output>(definition: Definition<Input, Output>): QueryOperation {
  return {
    name: definition.name,
    async handle(context) {
      const input = definition.decode(context.request.parameters, context.request)
      await definition.authorize(input, context)
      const output = await definition.run(input, context)
      return definition.encode?.(output, context)
    },
  }
}

/** One of the query APIs. */
export interface QueryService {
  /** As signatures are scoped to it, and actions of policies begin. */
  readonly name: 'iam' | 'sns' | 'sts'
  /** Of its documents. */
  readonly namespace: string
  /** The API's version, which every form names. */
  readonly version: string
  readonly operations: readonly QueryOperation[]
}
