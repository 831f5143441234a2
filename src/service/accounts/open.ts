import type { Keys } from '#src/encryption/key-provider.ts'
import type { IamRecords } from '#src/metadata/iam-records.ts'
import type { Namespace } from '#src/metadata/namespace.ts'
import { OrganizationRecords } from '#src/metadata/organization-records.ts'
import { AppMachines } from '#src/service/app-machines.ts'
import { Apps } from '#src/service/apps.ts'
import type { NamespaceBuckets } from '#src/service/buckets.ts'
import type { Domains } from '#src/service/domains.ts'
import type { NamespaceIdentity } from '#src/service/identity.ts'
import { Hooks } from '#src/service/provisioning/hooks.ts'
import { Provisioning } from '#src/service/provisioning/provisioning.ts'
import { SharedSecrets } from '#src/service/provisioning/shared-secrets.ts'
import type { Shadows } from '#src/service/shadow-services.ts'
import { ShortLived } from '#src/service/short-lived.ts'
import type { Store } from '#src/store/store.ts'
import type { World } from '#src/world.ts'
import { Externals } from './externals.ts'
import { Invitations } from './invitations.ts'
import { Organizations } from './organizations.ts'
import { Passwords } from './passwords.ts'
import { People } from './people.ts'
import { Tokens } from './tokens.ts'

/** People, what they belong to, and what was made for them. */
export interface Accounts {
  readonly people: People
  readonly tokens: Tokens
  readonly organizations: Organizations
  readonly invitations: Invitations
  readonly externals: Externals
  readonly provisioning: Provisioning
  readonly apps: Apps
  readonly machines: AppMachines
  readonly hooks: Hooks
  readonly secrets: SharedSecrets
  readonly shortLived: ShortLived
}

export interface AccountsParts {
  readonly store: Store
  readonly world: World
  readonly namespace: Namespace
  readonly records: IamRecords
  readonly identity: NamespaceIdentity
  readonly buckets: NamespaceBuckets
  readonly domains: Pick<Domains, 'setIn'>
  readonly own: Keys['own']
  /** Absent: shadows that are asked for are kept, and served by whoever has this. */
  readonly shadows?: Pick<Shadows, 'configure'>
}

export function openAccounts(parts: AccountsParts): Accounts {
  const { store, world, identity } = parts
  const records = new OrganizationRecords()
  const passwords = new Passwords(world)
  const organizations = new Organizations({ store, world, records, identity, namespace: parts.namespace })
  const people = new People({ store, world, records, passwords })
  const externals = new Externals(organizations, people)
  const hooks = new Hooks({ store, world })
  return {
    people,
    tokens: new Tokens({ store, world, records, passwords }),
    organizations,
    invitations: new Invitations(organizations),
    provisioning: new Provisioning({ ...parts, organizations, externals, hooks }),
    externals,
    apps: new Apps({ ...parts, organizations: records }),
    machines: new AppMachines({ store, world }),
    hooks,
    secrets: new SharedSecrets(parts),
    shortLived: new ShortLived({ store, world }),
  }
}
