import { Fault } from '#src/errors.ts'
import { awsPolicies } from '#src/model/aws-policies.ts'
import { type Bearer, folded, type ManagedPolicy, parseArn, quotas, sizeOf } from '#src/model/iam.ts'
import { parseIdentityPolicy } from '#src/model/policy-document.ts'
import type { Snapshot } from '#src/store/store.ts'
import { type Entities, exceeded } from './entities.ts'

/** Whoever has policies: users, groups and roles. */
export type BearerKind = 'user' | 'group' | 'role'

export interface Attached {
  readonly name: string
  readonly arn: string
}

const noPolicy = (name: string): Fault =>
  new Fault('NoSuchEntity', { message: `The policy with name ${name} cannot be found.` })

/** The managed policy that an ARN names, as the realm sees it: its own, and AWS's. */
export async function findManaged(
  { records }: Entities,
  from: Snapshot,
  realm: string,
  arn: string,
): Promise<ManagedPolicy | undefined> {
  const known = awsPolicies.get(arn)
  if (known !== undefined) return known
  const parsed = parseArn(arn)
  if (parsed === undefined || parsed.realm !== realm || parsed.kind !== 'policy') return undefined
  const policy = await records.find(from, realm, 'policy', folded(parsed.name))
  return policy !== undefined && `${policy.path}${policy.name}` === `/${parsed.rest}` ? policy : undefined
}

/** Policies of users, groups and roles: those that are part of them, and those that are attached. */
export class IamBearers {
  readonly #entities: Entities

  constructor(entities: Entities) {
    this.#entities = entities
  }

  async #bearer(realm: string, kind: BearerKind, name: string): Promise<Bearer> {
    return await this.#entities.get(realm, kind, name)
  }

  async policy(realm: string, kind: BearerKind, name: string, policy: string): Promise<string> {
    const { policies } = await this.#bearer(realm, kind, name)
    const document = Object.hasOwn(policies, policy) ? policies[policy] : undefined
    if (document === undefined) throw noPolicy(policy)
    return document
  }

  /** By name. */
  async policyNames(realm: string, kind: BearerKind, name: string): Promise<readonly string[]> {
    return Object.keys((await this.#bearer(realm, kind, name)).policies).sort()
  }

  async put(realm: string, kind: BearerKind, name: string, policy: string, document: string): Promise<void> {
    await this.#entities.change(realm, kind, name, (bearer) => {
      parseIdentityPolicy(document)
      const policies = { ...bearer.policies, [policy]: document }
      const size = Object.values(policies).reduce((sum, each) => sum + sizeOf(each), 0)
      if (size > quotas[kind])
        throw exceeded(`Maximum policy size of ${quotas[kind]} bytes exceeded for ${kind} ${name}`)
      return { ...bearer, policies }
    })
  }

  async delete(realm: string, kind: BearerKind, name: string, policy: string): Promise<void> {
    await this.#entities.change(realm, kind, name, (bearer) => {
      if (!Object.hasOwn(bearer.policies, policy)) throw noPolicy(policy)
      const { [policy]: _, ...policies } = bearer.policies
      return { ...bearer, policies }
    })
  }

  async attach(realm: string, kind: BearerKind, name: string, arn: string): Promise<void> {
    await this.#entities.change(realm, kind, name, async (bearer, transaction) => {
      if ((await findManaged(this.#entities, transaction, realm, arn)) === undefined) {
        throw new Fault('NoSuchEntity', { message: `Policy ${arn} does not exist or is not attachable.` })
      }
      if (bearer.attached.includes(arn)) return bearer
      if (bearer.attached.length >= quotas.attached)
        throw exceeded(`Cannot exceed quota for attached policies: ${quotas.attached}`)
      return { ...bearer, attached: [...bearer.attached, arn] }
    })
  }

  async detach(realm: string, kind: BearerKind, name: string, arn: string): Promise<void> {
    await this.#entities.change(realm, kind, name, (bearer) => {
      if (!bearer.attached.includes(arn)) throw new Fault('NoSuchEntity', { message: `Policy ${arn} was not found.` })
      return { ...bearer, attached: bearer.attached.filter((each) => each !== arn) }
    })
  }

  async attached(realm: string, kind: BearerKind, name: string): Promise<readonly Attached[]> {
    const { attached } = await this.#bearer(realm, kind, name)
    return attached.map((arn) => ({ arn, name: arn.slice(arn.lastIndexOf('/') + 1) }))
  }

  /** Only who has a boundary is bounded by it: groups have none. `undefined` takes it away. */
  async setBoundary(realm: string, kind: 'user' | 'role', name: string, arn: string | undefined): Promise<void> {
    if (arn !== undefined) await this.checkManaged(realm, arn)
    await this.#entities.change(realm, kind, name, (bearer) => {
      const { boundary, ...rest } = bearer
      if (arn === undefined && boundary === undefined)
        throw new Fault('NoSuchEntity', { message: 'There is no boundary.' })
      return arn === undefined ? rest : { ...rest, boundary: arn }
    })
  }

  async checkManaged(realm: string, arn: string): Promise<void> {
    const found = await this.#entities.read((snapshot) => findManaged(this.#entities, snapshot, realm, arn))
    if (found === undefined) throw new Fault('NoSuchEntity', { message: `Policy ${arn} does not exist.` })
  }
}
