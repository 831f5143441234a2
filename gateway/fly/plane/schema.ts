import { buildSchema } from 'graphql'

/**
 * What of Fly's GraphQL API is answered here: all that `fly storage`, the logins and the lists of organisations ask. Names and types
 * are theirs, and so is which fields may be null. Whatever else is asked is refused with its name.
 */
export const schema = buildSchema(`
scalar JSON

enum AddOnType { tigris }

type Query {
  viewer: Principal!
  organization(id: ID, slug: String): Organization
  organizations(admin: Boolean): OrganizationConnection!
  app(name: String): App
  addOn(id: ID, name: String, provider: String): AddOn
  addOns(type: AddOnType): AddOnConnection!
  addOnProvider(name: String!): AddOnProvider!
}

type Mutation {
  createAddOn(input: CreateAddOnInput!): CreateAddOnPayload
  updateAddOn(input: UpdateAddOnInput!): UpdateAddOnPayload
  deleteAddOn(input: DeleteAddOnInput!): DeleteAddOnPayload
  createExtensionTosAgreement(input: CreateExtensionTosAgreementInput!): CreateExtensionTosAgreementPayload
  createApp(input: CreateAppInput!): CreateAppPayload
  setSecrets(input: SetSecretsInput!): SetSecretsPayload
  unsetSecrets(input: UnsetSecretsInput!): UnsetSecretsPayload
  logOut(input: LogOutInput!): LogOutPayload
}

union Principal = User | Macaroon

type User {
  id: ID!
  email: String
  name: String
  enablePaidHobby: Boolean!
  agreedToProviderTos(providerName: String!): Boolean!
}

type Macaroon { email: String }

type Organization {
  id: ID!
  internalNumericId: String!
  slug: String!
  rawSlug: String!
  name: String!
  type: String!
  billable: Boolean!
  billingStatus: String!
  paidPlan: Boolean!
  viewerRole: String!
  provisionsBetaExtensions: Boolean!
  addOnSsoLink: String
  extensionSsoLink(provider: String!): String
  addOns(type: AddOnType): AddOnConnection!
}

type OrganizationConnection { nodes: [Organization!]! }

type App {
  id: ID!
  internalNumericId: Int!
  name: String!
  deployed: Boolean!
  status: String!
  hostname: String
  platformVersion: String
  cnameTarget: String
  secrets: [Secret!]!
  organization: Organization!
  addOns(type: AddOnType): AddOnConnection!
  hostIssues: HostIssueConnection!
  currentReleaseUnprocessed: ReleaseUnprocessed
}

type ReleaseUnprocessed { id: ID! version: Int! imageRef: String configDefinition: JSON }

type Secret { name: String! }

type HostIssue { internalId: String! message: String! createdAt: String! updatedAt: String! }
type HostIssueConnection { nodes: [HostIssue!]! }

type AddOn {
  id: ID!
  name: String
  status: String
  errorMessage: String
  primaryRegion: String
  readRegions: [String!]
  options: JSON
  metadata: JSON
  environment: JSON
  publicUrl: String
  privateIp: String
  password: String
  ssoLink: String
  organization: Organization!
  app: App
  addOnProvider: AddOnProvider
  addOnPlan: AddOnPlan
}

type AddOnConnection { nodes: [AddOn!]! }

type AddOnPlan { id: ID! name: String displayName: String description: String }

type AddOnProvider {
  id: ID!
  name: String
  displayName: String
  resourceName: String!
  asyncProvisioning: Boolean!
  autoProvision: Boolean!
  beta: Boolean!
  detectPlatform: Boolean!
  internal: Boolean!
  nameSuffix: String
  provisioningInstructions: String
  selectName: Boolean!
  selectRegion: Boolean!
  selectReplicaRegions: Boolean!
  tosAgreement: String
  tosUrl: String
  excludedRegions: [Region!]
}

type Region { code: String! }

input CreateAddOnInput {
  clientMutationId: String
  organizationId: ID
  organizationPlanId: String
  appId: ID
  type: AddOnType!
  name: String
  planId: ID
  primaryRegion: String
  readRegions: [String!]
  options: JSON
}
type CreateAddOnPayload { clientMutationId: String addOn: AddOn! }

input UpdateAddOnInput {
  clientMutationId: String
  addOnId: ID
  name: String
  provider: String
  planId: ID
  readRegions: [String!]
  options: JSON
  metadata: JSON
}
type UpdateAddOnPayload { clientMutationId: String addOn: AddOn! }

input DeleteAddOnInput { clientMutationId: String addOnId: ID name: String provider: String }
type DeleteAddOnPayload { clientMutationId: String deletedAddOnId: ID deletedAddOnName: String }

input CreateExtensionTosAgreementInput { clientMutationId: String addOnProviderName: String! organizationId: ID }
type CreateExtensionTosAgreementPayload { clientMutationId: String }

input CreateAppInput {
  clientMutationId: String
  organizationId: ID!
  name: String
  preferredRegion: String
  machines: Boolean
  network: String
  appRoleId: String
  heroku: Boolean
  runtime: String
}
type CreateAppPayload { clientMutationId: String app: App! }

input SecretInput { key: String! value: String! }
input SetSecretsInput { clientMutationId: String appId: ID! secrets: [SecretInput!]! replaceAll: Boolean }
type SetSecretsPayload { clientMutationId: String app: App! release: Release }

input UnsetSecretsInput { clientMutationId: String appId: ID! keys: [String!]! }
type UnsetSecretsPayload { clientMutationId: String app: App! release: Release }

type ReleaseUser { id: ID! email: String name: String }
type Release {
  id: ID!
  version: Int
  reason: String
  description: String
  evaluationId: String
  createdAt: String
  user: ReleaseUser
}

input LogOutInput { clientMutationId: String }
type LogOutPayload { clientMutationId: String ok: Boolean! }
`)
