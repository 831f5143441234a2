import type { Config } from '#src/config/load.ts'
import { lateKeys } from '#src/encryption/late-keys.ts'
import { Fault } from '#src/errors.ts'
import { IamRecords } from '#src/metadata/iam-records.ts'
import { Namespace } from '#src/metadata/namespace.ts'
import { bucketIsEmpty } from '#src/metadata/object-records.ts'
import { openStore } from '#src/open/store.ts'
import { domainsOf, openKeysBeside } from '#src/open.ts'
import { type Accounts, openAccounts } from '#src/service/accounts/open.ts'
import { NamespaceBuckets, type OtherCells } from '#src/service/buckets.ts'
import { NamespaceIdentity } from '#src/service/identity.ts'
import type { Store } from '#src/store/store.ts'
import type { World } from '#src/world.ts'
import { clusteredStore } from './region.ts'

export interface OpenAccounts {
  readonly accounts: Accounts
  readonly store: Store
}

/** People, organisations, and what was made for them, also beside a server that runs. */
export async function openAccountsAlone(config: Config, world: World): Promise<OpenAccounts> {
  const opened = await openStore(config, world)
  const { store, standing } = await clusteredStore(opened.store)
  const namespace = new Namespace()
  const records = new IamRecords()
  const identity = new NamespaceIdentity({ store, world, namespace, records })
  const buckets = new NamespaceBuckets({
    store,
    world,
    namespace,
    isEmpty: (from, bucket) => bucketIsEmpty(from, bucket.id),
    most: config.bucketsMax,
    ...(standing !== undefined && { others: unaskable }),
  })
  const domains = domainsOf({ store, world, namespace }, config)
  const { own } = lateKeys(() => openKeysBeside(config, world))
  return { store, accounts: openAccounts({ store, world, namespace, records, identity, buckets, domains, own }) }
}

/** The other cells of a process that has no way to ask them. */
const unaskable: OtherCells = {
  cells: () => {
    const message = 'Other regions may have objects of the bucket: delete it through a server that runs.'
    throw new Fault('ServiceUnavailable', { message })
  },
  checkEmpty: () => Promise.reject(new Fault('ServiceUnavailable')),
  unmarked: () => Promise.resolve(),
}
