import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { answerOf, type JsonAnswer } from './harness.ts'

/** flyctl's questions, in its order and with the fields it asks for, by a client that is not flyctl. */

const organization = 'id slug rawSlug paidPlan addOnSsoLink provisionsBetaExtensions name billable billingStatus'
const app = `id name deployed platformVersion cnameTarget secrets { name } organization { ${organization} }`
const addOn = 'id name primaryRegion status errorMessage metadata options'
const provider =
  'id name displayName tosUrl asyncProvisioning autoProvision selectName selectRegion selectReplicaRegions detectPlatform ' +
  'resourceName nameSuffix beta tosAgreement internal provisioningInstructions excludedRegions { code }'
const listed = 'id name addOnPlan { displayName description } privateIp primaryRegion readRegions options metadata'

/** By the name of the operation; those without one, by `anonymous` and the first field. */
const documents = {
  'anonymous viewer': 'query { viewer { ... on User { id email enablePaidHobby } ... on Macaroon { email } } }',
  'anonymous organization':
    'query($slug: String!) { organization(slug: $slug) { id internalNumericId slug rawSlug name type billable } }',
  'anonymous organizations':
    'query($admin: Boolean!) { organizations(admin: $admin) { nodes { id slug rawSlug name type paidPlan billable viewerRole internalNumericId } } }',
  'anonymous app':
    'query($appName: String!) { apphostissues: app(name: $appName) { hostIssues { nodes { internalId message createdAt updatedAt } } } }',
  GetAddOnProvider: `query GetAddOnProvider($name: String!) { addOnProvider(name: $name) { ${provider} } }`,
  AgreedToProviderTos:
    'query AgreedToProviderTos($addOnProviderName: String!) { viewer { __typename ... on User { agreedToProviderTos(providerName: $addOnProviderName) } } }',
  GetOrganization: `query GetOrganization($slug: String!) { organization(slug: $slug) { ${organization} } }`,
  GetApp: `query GetApp($name: String!) { app(name: $name) { ${app} } }`,
  GetAppWithAddons: `query GetAppWithAddons($name: String!, $addOnType: AddOnType!) { app(name: $name) { ${app} addOns(type: $addOnType) { nodes { ${addOn} } } } }`,
  CreateExtension:
    'mutation CreateExtension($input: CreateAddOnInput!) { createAddOn(input: $input) { addOn { ...ExtensionData } } } fragment ExtensionData on AddOn { name ssoLink environment primaryRegion }',
  GetAddOn: `query GetAddOn($name: String, $provider: String) { addOn(name: $name, provider: $provider) { ${addOn} publicUrl privateIp password readRegions ssoLink organization { slug paidPlan } addOnProvider { ${provider} } app { ${app} } addOnPlan { id name displayName description } } }`,
  UpdateAddOn:
    'mutation UpdateAddOn($addOnId: ID!, $planId: ID!, $readRegions: [String!]!, $options: JSON!, $metadata: JSON!) { updateAddOn(input: { addOnId: $addOnId, planId: $planId, readRegions: $readRegions, options: $options, metadata: $metadata }) { addOn { id } } }',
  DeleteAddOn:
    'mutation DeleteAddOn($name: String, $provider: String) { deleteAddOn(input: { name: $name, provider: $provider }) { deletedAddOnName } }',
  ListAddOns: `query ListAddOns($addOnType: AddOnType) { addOns(type: $addOnType) { nodes { ${listed} organization { id slug } } } }`,
  ListOrganizationAddOns: `query ListOrganizationAddOns($orgSlug: String!, $addOnType: AddOnType) { organization(slug: $orgSlug) { addOns(type: $addOnType) { nodes { ${listed} } } } }`,
  GetExtensionSsoLink:
    'query GetExtensionSsoLink($orgSlug: String!, $provider: String!) { organization(slug: $orgSlug) { extensionSsoLink(provider: $provider) } }',
  FlyctlConfigCurrentRelease:
    'query FlyctlConfigCurrentRelease($appName: String!) { app(name: $appName) { currentReleaseUnprocessed { configDefinition } } }',
  LatestImage:
    'query LatestImage($appName: String!) { app(name: $appName) { currentReleaseUnprocessed { id version imageRef } } }',
  SetSecrets:
    'mutation SetSecrets($input: SetSecretsInput!) { setSecrets(input: $input) { release { id version reason description user { id email name } evaluationId createdAt } } }',
  CreateTosAgreement:
    'mutation CreateTosAgreement($providerName: String!) { createExtensionTosAgreement(input: { addOnProviderName: $providerName }) { clientMutationId } }',
  LogOut: 'mutation LogOut { logOut(input: {}) { ok } }',
} as const

export type Operation = keyof typeof documents

/** All that was asked in this process. */
export const asked = new Set<string>()

export type Data = Record<string, unknown>

interface Answered {
  readonly data: Data | null
  readonly errors: readonly { readonly message: string; readonly extensions?: { readonly code?: string } }[]
}

export class PlaneClient {
  readonly origin: string
  readonly token: string | undefined

  constructor(origin: string, token: string | undefined) {
    this.origin = origin
    this.token = token
  }

  #headers(): Record<string, string> {
    return {
      'content-type': 'application/json; charset=utf-8',
      'user-agent': 'flyctl/0.4.88 (interactive=false; parent=other)',
      ...(this.token !== undefined && { authorization: `Bearer ${this.token}` }),
    }
  }

  async post(body: unknown): Promise<Answered> {
    const response = await fetch(`${this.origin}/graphql`, {
      method: 'POST',
      headers: this.#headers(),
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
    // flyctl shows what went wrong only where the answer is 200.
    assert.equal(response.status, 200)
    const { value } = await answerOf(response)
    return { data: value['data'] as Data | null, errors: (value['errors'] ?? []) as Answered['errors'] }
  }

  async ask(operation: Operation, variables: Data | null = null): Promise<Answered> {
    asked.add(operation)
    const query = documents[operation]
    const name = operation.startsWith('anonymous ') ? {} : { operationName: operation }
    return await this.post({ query, variables, ...name })
  }

  /** What was asked for; it must be there. */
  async get(operation: Operation, variables: Data | null = null): Promise<Data> {
    const { data, errors } = await this.ask(operation, variables)
    assert.deepEqual(errors, [], operation)
    assert.ok(data !== null)
    return data
  }

  /** The code of what is refused, and its message. */
  async refused(operation: Operation, variables: Data | null = null): Promise<string> {
    const { data, errors } = await this.ask(operation, variables)
    assert.equal(data, null, `${operation} was not refused`)
    return `${errors[0]?.extensions?.code}: ${errors[0]?.message}`
  }

  async call(
    question: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<JsonAnswer> {
    asked.add(question)
    return await answerOf(
      await fetch(`${this.origin}${path}`, {
        method: question.split(' ')[0] ?? 'GET',
        headers: { ...this.#headers(), ...headers },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      }),
    )
  }
}

/** As flyctl fills it in: what is not given is empty, not absent. */
export const newBucket = (more: Data): Data => ({
  input: {
    appId: '',
    clientMutationId: '',
    name: '',
    organizationId: '',
    organizationPlanId: '',
    planId: '',
    primaryRegion: '',
    readRegions: null,
    type: 'tigris',
    options: { accelerate: false, public: false, website: { domain_name: '' } },
    ...more,
  },
})

export interface Verifier {
  readonly verifier: string
  readonly challenge: string
}

export function newVerifier(): Verifier {
  const verifier = randomBytes(32).toString('base64url')
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') }
}
