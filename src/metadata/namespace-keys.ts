import { afterKey, afterPrefix, append, appendText } from '#src/store/tuple.ts'

/**
 * Where the namespace lies in the store: the only place that makes its keys. Owner of the first eight: `Namespace`, of the
 * others `IamRecords`. A realm is an account, or a tenant whose accounts share their IAM names; names are in lower case.
 *
 * key (behind the byte 01)      value
 * 1, bucket name                the bucket: all it is and its settings
 * 2, account id                 the account
 * 3, access key id              the key, its secret and its account's id
 * 4, email                      the id of the account that has it
 * 5, account id, bucket name    nothing: the buckets that the account owns, by name
 * 6, account id, access key id  nothing: the keys of the account
 * 7                             the largest bucket id ever given
 * 8, bucket id                  name of a bucket whose location is changing
 * 16, realm, kind, name         the user, group, role, policy or provider of that name
 * 17, realm, group, user        nothing: the users that are in the group
 * 18                            what session tokens are sealed with
 * 20, account id, topic name    the topic (Topics)
 * 21, account id, topic, id     the subscription to the topic (Topics)
 * 22                            the key that messages to endpoints are signed with, and its certificate
 * 28, bucket id, kind, id       the configuration of that kind (analytics, inventory …; CellBucketConfigurations)
 * 29, host name                 the name of the bucket that answers to it (NamespaceDomains)
 * 30                            the cells there are and were (ClusterRecords)
 * 40, organisation id           the organisation (OrganizationRecords; also 41 to 47)
 * 41, kind, name                id of the organisation, or person, of that slug, email or external id
 * 42, person id                 the person
 * 43, organisation id, person   their membership
 * 44, person id, organisation   nothing: where the person is a member
 * 45, organisation id, id       the invitation
 * 46, digest                    the token, or session, of whose secret that is the SHA-256
 * 47, person id, token id       digest of the token
 * 48, what                      the largest number ever given: of organisations, of apps
 * 50, organisation id, bucket   what was provisioned with that bucket (ProvisionRecords; also 51)
 * 51, kind, id                  organisation and bucket of what has that id, or external id
 * 55, app name                  the app (AppRecords; also 56 to 58)
 * 56, organisation id, app      nothing: the apps of the organisation
 * 57, bucket                    the bucket as flyctl knows it
 * 58, kind, id, bucket          nothing: the buckets of an organisation, or app, as flyctl knows them
 * 60, name                      secrets that this store shares with Fly's side of it, sealed (FlySecrets)
 */
const namespace = Uint8Array.of(0x01)

const tables = {
  bucket: 1,
  account: 2,
  key: 3,
  email: 4,
  ownedBucket: 5,
  ownedKey: 6,
  bucketId: 7,
  moving: 8,
  entity: 16,
  membership: 17,
  sessionKeys: 18,
  topic: 20,
  subscription: 21,
  messageKey: 22,
  configuration: 28,
  domain: 29,
  cluster: 30,
  organization: 40,
  known: 41,
  person: 42,
  member: 43,
  memberOf: 44,
  invitation: 45,
  token: 46,
  ownedToken: 47,
  number: 48,
  provisioned: 50,
  provisionedId: 51,
  app: 55,
  ownedApp: 56,
  addOn: 57,
  ownedAddOn: 58,
  sharedSecret: 60,
} as const

export interface KeyRange {
  readonly from: Uint8Array
  readonly to: Uint8Array
}

const prefixes = {
  bucket: append(namespace, [tables.bucket]),
  account: append(namespace, [tables.account]),
  key: append(namespace, [tables.key]),
  email: append(namespace, [tables.email]),
}

export const isBucketKey = (key: Uint8Array): boolean =>
  Buffer.from(key.buffer, key.byteOffset, prefixes.bucket.length).equals(prefixes.bucket)
export const bucketKey = (name: string): Uint8Array => append(prefixes.bucket, [name])
export const accountKey = (id: string): Uint8Array => append(prefixes.account, [id])
export const accessKeyKey = (id: string): Uint8Array => append(prefixes.key, [id])
export const emailKey = (email: string): Uint8Array => append(prefixes.email, [email])
export const ownedBucketKey = (owner: string, name: string): Uint8Array =>
  append(namespace, [tables.ownedBucket, owner, name])
export const ownedKeyKey = (owner: string, id: string): Uint8Array => append(namespace, [tables.ownedKey, owner, id])
export const bucketIdKey: Uint8Array = append(namespace, [tables.bucketId])
export const movingKey = (bucket: number): Uint8Array => append(namespace, [tables.moving, bucket])

export const entityKey = (realm: string, kind: string, name: string): Uint8Array =>
  append(namespace, [tables.entity, realm, kind, name])
export const membershipKey = (realm: string, group: string, user: string): Uint8Array =>
  append(namespace, [tables.membership, realm, group, user])
export const sessionKeysKey: Uint8Array = append(namespace, [tables.sessionKeys])

export const entitiesOf = (realm: string, kind: string): KeyRange =>
  within(append(namespace, [tables.entity, realm, kind]))
export const membersOf = (realm: string, group: string): KeyRange =>
  within(append(namespace, [tables.membership, realm, group]))
/** All that a realm has: its things, and who is in its groups. */
export const realmRanges = (realm: string): readonly KeyRange[] =>
  [tables.entity, tables.membership].map((table) => within(append(namespace, [table, realm])))
export const topicKey = (owner: string, name: string): Uint8Array => append(namespace, [tables.topic, owner, name])
export const subscriptionKey = (owner: string, topic: string, id: string): Uint8Array =>
  append(namespace, [tables.subscription, owner, topic, id])
export const messageKeyKey: Uint8Array = append(namespace, [tables.messageKey])
export const configurationKey = (bucket: number, kind: string, id: string): Uint8Array =>
  append(namespace, [tables.configuration, bucket, kind, id])
export const configurationsOf = (bucket: number): KeyRange => within(append(namespace, [tables.configuration, bucket]))
export const configurationsOfKind = (bucket: number, kind: string): KeyRange =>
  within(append(namespace, [tables.configuration, bucket, kind]))
export const topicsOf = (owner: string): KeyRange => within(append(namespace, [tables.topic, owner]))
export const subscriptionsTo = (owner: string, topic: string): KeyRange =>
  within(append(namespace, [tables.subscription, owner, topic]))
export const subscriptionsUnder = (owner: string): KeyRange => within(append(namespace, [tables.subscription, owner]))

export const domainKey = (domain: string): Uint8Array => append(namespace, [tables.domain, domain])

export const clusterKey: Uint8Array = append(namespace, [tables.cluster])

/** Of what people, provisioning and apps keep, by the names above. */
export const rowKeys = {
  organization: (id: string) => append(namespace, [tables.organization, id]),
  known: (kind: 'slug' | 'email' | 'organization' | 'person', name: string) =>
    append(namespace, [tables.known, kind, name]),
  person: (id: string) => append(namespace, [tables.person, id]),
  member: (organization: string, person: string) => append(namespace, [tables.member, organization, person]),
  memberOf: (person: string, organization: string) => append(namespace, [tables.memberOf, person, organization]),
  invitation: (organization: string, id: string) => append(namespace, [tables.invitation, organization, id]),
  token: (hash: string) => append(namespace, [tables.token, hash]),
  ownedToken: (person: string, id: string) => append(namespace, [tables.ownedToken, person, id]),
  number: (what: 'organization' | 'app') => append(namespace, [tables.number, what]),
  provisioned: (organization: string, bucket: string) => append(namespace, [tables.provisioned, organization, bucket]),
  provisionedId: (kind: 'own' | 'external', id: string) => append(namespace, [tables.provisionedId, kind, id]),
  app: (name: string) => append(namespace, [tables.app, name]),
  ownedApp: (organization: string, name: string) => append(namespace, [tables.ownedApp, organization, name]),
  addOn: (bucket: string) => append(namespace, [tables.addOn, bucket]),
  ownedAddOn: (kind: 'organization' | 'app', id: string, bucket: string) =>
    append(namespace, [tables.ownedAddOn, kind, id, bucket]),
  sharedSecret: (name: string) => append(namespace, [tables.sharedSecret, name]),
} as const

export const rowRanges = {
  organizations: () => within(append(namespace, [tables.organization])),
  members: (organization: string) => within(append(namespace, [tables.member, organization])),
  organizationsOf: (person: string) => within(append(namespace, [tables.memberOf, person])),
  invitations: (organization: string) => within(append(namespace, [tables.invitation, organization])),
  tokensOf: (person: string) => within(append(namespace, [tables.ownedToken, person])),
  provisioned: (organization?: string) =>
    within(append(namespace, organization === undefined ? [tables.provisioned] : [tables.provisioned, organization])),
  appsOf: (organization: string) => within(append(namespace, [tables.ownedApp, organization])),
  addOnsOf: (kind: 'organization' | 'app', id: string) => within(append(namespace, [tables.ownedAddOn, kind, id])),
} as const

/** All of the namespace, as replicas have it too. */
export const wholeNamespace: KeyRange = { from: namespace, to: Uint8Array.of(0x02) }

export const allBuckets = (): KeyRange => within(prefixes.bucket)
export const allMoving = (): KeyRange => within(append(namespace, [tables.moving]))
export const allAccounts = (): KeyRange => within(prefixes.account)
export const allAccessKeys = (): KeyRange => within(prefixes.key)
export const keysOf = (owner: string): KeyRange => within(append(namespace, [tables.ownedKey, owner]))

/** The owner's buckets whose names start with prefix and are greater than after. */
export function bucketsOf(owner: string, prefix: string, after: string | undefined): KeyRange {
  const owned = append(namespace, [tables.ownedBucket, owner])
  const least = Buffer.from(prefix, 'utf8')
  const beyond = afterPrefix(least)
  const start = appendText(owned, least)
  const passed = after === undefined ? start : afterKey(appendText(owned, Buffer.from(after, 'utf8')))
  return {
    from: Buffer.compare(passed, start) > 0 ? passed : start,
    to: beyond === undefined ? within(owned).to : appendText(owned, beyond),
  }
}

function within(prefix: Uint8Array): KeyRange {
  const to = afterPrefix(prefix)
  if (to === undefined) throw new Error('every prefix of the namespace starts with 01')
  return { from: prefix, to }
}
