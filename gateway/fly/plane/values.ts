import { type FlyParts, providerName, providerPath } from '#gateway/fly/parts.ts'
import type { AddOn, App } from '#src/model/app.ts'
import { mayIn, type Organization } from '#src/model/organization.ts'
import type { Place } from '#src/service/accounts/organizations.ts'
import { type Asking, countListed, needed } from './asking.ts'
import { ProviderClient } from './provider-client.ts'
import { imageOf } from './running.ts'

/** Values as the schema names them; what costs a look is a function, and looked for where it is asked. */
export class Values {
  readonly #parts: FlyParts
  readonly provider: ProviderClient

  constructor(parts: FlyParts) {
    this.#parts = parts
    this.provider = new ProviderClient(parts)
  }

  organization({ organization, role }: Place) {
    const { id, slug, name, number } = organization
    const link = this.#organizationLink(organization)
    return {
      id,
      internalNumericId: String(number),
      slug,
      rawSlug: slug,
      name,
      type: 'SHARED',
      billable: true,
      billingStatus: 'CURRENT',
      paidPlan: true,
      viewerRole: mayIn(role, 'members:change') ? 'admin' : 'member',
      provisionsBetaExtensions: false,
      addOnSsoLink: link,
      extensionSsoLink: () => link,
      addOns: async (_: unknown, asking: Asking) => this.addOns(asking, await this.#addOnsOf('organization', id)),
    }
  }

  #organizationLink({ id }: Organization): string {
    return `${this.#parts.places().public}${providerPath}/organizations/${encodeURIComponent(id)}/sso`
  }

  #addOnsOf(...of: Parameters<FlyParts['accounts']['apps']['addOnsOf']>): Promise<readonly AddOn[]> {
    return this.#parts.accounts.apps.addOnsOf(...of)
  }

  addOns(asking: Asking, all: readonly AddOn[]) {
    countListed(asking, all.length)
    return { nodes: all.map((each) => this.addOn(asking, each)) }
  }

  /** In an organisation that the asker was found to be in. */
  app(asking: Asking, { name, number, organization, secrets, machines = [], release }: App) {
    return {
      id: name,
      internalNumericId: number,
      name,
      // Of an app that runs nowhere that is known here, secrets wait for the first time.
      deployed: machines.length > 0,
      status: machines.length > 0 ? 'deployed' : 'pending',
      hostname: null,
      platformVersion: 'machines',
      cnameTarget: null,
      secrets: Object.keys(secrets).map((each) => ({ name: each })),
      organization: () => this.#place(asking, organization),
      addOns: async () => this.addOns(asking, await this.#addOnsOf('app', name)),
      hostIssues: { nodes: [] },
      currentReleaseUnprocessed:
        release === undefined
          ? null
          : // Without a definition flyctl takes it from the machines.
            { id: release.id, version: release.version, imageRef: imageOf(name), configDefinition: null },
    }
  }

  async #place(asking: Asking, organization: string) {
    const place = await this.#parts.accounts.organizations.authorize(needed(asking), organization, 'organization:read')
    return this.organization(place)
  }

  /** `environment`: only in the answer to who made it. */
  addOn(asking: Asking, addOn: AddOn, environment?: Readonly<Record<string, string>>) {
    const { name, organization, app, options, metadata, providerId } = addOn
    // One answer of the provider for all that is asked of it.
    let asked: ReturnType<ProviderClient['get']> | undefined
    const extension = () => {
      asked ??= this.provider.get(providerId ?? '')
      return asked
    }
    return {
      id: name,
      name,
      status: async () => (await extension()).status,
      errorMessage: async () => (await extension()).message || null,
      primaryRegion: null,
      readRegions: [],
      options,
      metadata: metadata ?? null,
      environment: environment ?? null,
      publicUrl: null,
      privateIp: null,
      password: null,
      ssoLink: `${this.#parts.places().public}${providerPath}/extensions/${encodeURIComponent(providerId ?? '')}/sso`,
      organization: () => this.#place(asking, organization),
      app: async () => (app === undefined ? null : this.app(asking, await this.#parts.accounts.apps.get(app))),
      addOnProvider: this.addOnProvider(),
      addOnPlan: { id: 'default', name: 'default', displayName: 'Default', description: 'All buckets' },
    }
  }

  addOnProvider() {
    return {
      id: providerName,
      name: providerName,
      displayName: 'Meridian',
      resourceName: 'bucket',
      asyncProvisioning: false,
      autoProvision: false,
      beta: false,
      detectPlatform: false,
      // Nobody has terms of service to agree to.
      internal: true,
      nameSuffix: '',
      provisioningInstructions: `${this.#parts.places().public}/login`,
      selectName: true,
      selectRegion: false,
      selectReplicaRegions: false,
      tosAgreement: '',
      tosUrl: '',
      excludedRegions: [],
    }
  }
}
