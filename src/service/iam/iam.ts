import { quotas } from '#src/model/iam.ts'
import { IamBearers } from './bearers.ts'
import { Entities, type IamParts } from './entities.ts'
import { IamGroups } from './groups.ts'
import { IamManagedPolicies } from './managed-policies.ts'
import { IamProviders } from './providers.ts'
import { IamRoles } from './roles.ts'
import { IamUsers } from './users.ts'

/** Everything that IAM keeps of realms. */
export class Iam {
  readonly users: IamUsers
  readonly groups: IamGroups
  readonly roles: IamRoles
  readonly bearers: IamBearers
  readonly policies: IamManagedPolicies
  readonly providers: IamProviders
  readonly entities: Entities

  constructor(parts: IamParts) {
    this.entities = new Entities(parts)
    this.users = new IamUsers(this.entities)
    this.groups = new IamGroups(this.entities)
    this.roles = new IamRoles(this.entities)
    this.bearers = new IamBearers(this.entities)
    this.policies = new IamManagedPolicies(this.entities)
    this.providers = new IamProviders(this.entities)
  }

  /** https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountSummary.html */
  async summary(realm: string): Promise<Readonly<Record<string, number>>> {
    const count = (kind: Parameters<Entities['count']>[1]) => this.entities.count(realm, kind)
    return {
      Users: await count('user'),
      UsersQuota: quotas.users,
      Groups: await count('group'),
      GroupsQuota: quotas.groups,
      Roles: await count('role'),
      RolesQuota: quotas.roles,
      Policies: await count('policy'),
      PoliciesQuota: quotas.policies,
      Providers: await count('provider'),
      AccessKeysPerUserQuota: quotas.keys,
      GroupsPerUserQuota: quotas.groupsOfUser,
      AttachedPoliciesPerUserQuota: quotas.attached,
      AttachedPoliciesPerGroupQuota: quotas.attached,
      AttachedPoliciesPerRoleQuota: quotas.attached,
      UserPolicySizeQuota: quotas.user,
      GroupPolicySizeQuota: quotas.group,
      AssumeRolePolicySizeQuota: quotas.trust,
      PolicySizeQuota: quotas.managed,
      VersionsPerPolicyQuota: quotas.versions,
    }
  }
}
