import type { FormParameters } from '#gateway/query/form-parameters.ts'
import type { QueryContext, QueryOperation } from '#gateway/query/operation.ts'
import type { Child } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import { arnOf, type TagList } from '#src/model/iam.ts'
import { type Account, type Caller, realmOf } from '#src/model/identity.ts'
import type { ConditionValues } from '#src/model/policy-variables.ts'
import { isOfAccount } from '#src/model/principal.ts'
import type { Iam } from '#src/service/iam/iam.ts'
import type { KeyAsker } from '#src/service/iam/users.ts'

/** Who asks, and whose names it is about: everything of IAM stays within the caller's account or tenant. */
export interface IamContext {
  readonly iam: Iam
  readonly realm: string
  readonly account: Account
  readonly caller: Extract<Caller, { kind: 'account' }>
  readonly asker: KeyAsker
}

/** What a call is about, as policies are asked: its ARN, and the tags that it has. */
export interface Target {
  readonly arn: string
  readonly tags?: TagList
}

interface Definition<Input, Output> {
  readonly name: string
  decode(parameters: FormParameters, context: IamContext): Input
  target(input: NoInfer<Input>, context: IamContext): Target | Promise<Target>
  /** Tags that the request gives. */
  tags?(input: NoInfer<Input>): TagList
  /** Other names of conditions, such as `iam:policyarn`, in lower case. */
  values?(input: NoInfer<Input>): Readonly<Record<string, string | undefined>>
  run(input: NoInfer<Input>, context: IamContext): Promise<Output>
  encode?(output: Output, context: IamContext, input: NoInfer<Input>): readonly Child[]
}

export function iamContext({ caller, services }: Pick<QueryContext, 'caller' | 'services'>): IamContext {
  if (caller.kind === 'anonymous') throw new Fault('MissingAuthenticationToken')
  const { account } = caller
  const asker = { account, isAccount: isOfAccount(caller.principal) }
  return { iam: services.iam, realm: realmOf(account), account, caller, asker }
}

/** Decodes, asks for `iam:Name` on the target, runs and encodes. */
export function iamOperation<Input, Output>(definition: Definition<Input, Output>): QueryOperation {
  const { name } = definition
  return {
    name,
    async handle(context) {
      const inside = iamContext(context)
      const input = definition.decode(context.request.parameters, inside)
      const target = await definition.target(input, inside)
      const values = valuesOf(target, definition.tags?.(input), definition.values?.(input) ?? {})
      context.authorize({ action: `iam:${name}`, resource: target.arn, values })
      const output = await definition.run(input, inside)
      return definition.encode?.(output, inside, input)
    },
  }
}

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html */
function valuesOf(
  target: Target,
  given: TagList | undefined,
  values: Readonly<Record<string, string | undefined>>,
): ConditionValues {
  const tagOf = (tags: TagList | undefined, key: string): readonly string[] | undefined => {
    const found = tags?.find(([each]) => each.toLowerCase() === key.toLowerCase())
    return found === undefined ? undefined : [found[1]]
  }
  return {
    get(name) {
      const slash = name.indexOf('/')
      const [prefix, key] = slash < 0 ? [name, ''] : [name.slice(0, slash), name.slice(slash + 1)]
      if (prefix === 'aws:resourcetag' || prefix === 'iam:resourcetag') return tagOf(target.tags, key)
      if (prefix === 'aws:requesttag') return tagOf(given, key)
      if (name === 'aws:tagkeys') return given === undefined ? undefined : given.map(([each]) => each)
      const value = values[name]
      return value === undefined ? undefined : [value]
    },
  }
}

/** In general: whatever the account has. */
export const anything = (): Target => ({ arn: '*' })

/** Who may not do it must not learn from the answer what is there: what is not has the ARN that it would have. */
async function named({ iam, realm }: IamContext, kind: 'user' | 'group' | 'role', name: string): Promise<Target> {
  try {
    const found = await iam.entities.get(realm, kind, name)
    return { arn: arnOf(realm, kind, found), ...('tags' in found && { tags: found.tags }) }
  } catch (error) {
    if (error instanceof Fault && error.code === 'NoSuchEntity') return { arn: arnOf(realm, kind, { path: '/', name }) }
    throw error
  }
}

export const userTarget = async (name: string | undefined, context: IamContext): Promise<Target> =>
  name === undefined ? { arn: `arn:aws:iam::${context.account.id}:root` } : await named(context, 'user', name)
export const groupTarget = (name: string, context: IamContext): Promise<Target> => named(context, 'group', name)
export const roleTarget = (name: string, context: IamContext): Promise<Target> => named(context, 'role', name)

/** The user named, or the one who asks; undefined: the account itself. */
export function userOrSelf(parameters: FormParameters, { caller }: IamContext): string | undefined {
  const name = parameters.text('UserName')
  if (name !== undefined) return name
  const { principal } = caller
  if (principal?.kind === 'role') {
    throw new Fault('ValidationError', { message: 'Must specify userName when calling with non-User credentials' })
  }
  return principal?.kind === 'root' ? undefined : principal?.name
}
