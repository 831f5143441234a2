import { isDeepStrictEqual } from 'node:util'
import { Refusal } from '#gateway/fly/exchange.ts'
import type { FlyParts } from '#gateway/fly/parts.ts'
import type { AddOn, App } from '#src/model/app.ts'
import { isFields } from '#src/model/provision.ts'
import type { Place } from '#src/service/accounts/organizations.ts'
import { hashOf } from '#src/service/accounts/tokens.ts'
import { randomId } from '#src/service/random-words.ts'
import { type Asking, appOf, needed } from './asking.ts'
import { checkProvider, type Queries } from './queries.ts'
import type { Values } from './values.ts'

/**
 * flyctl sends a mutation again where a proxy, or we, answered 502 or 503, without a word that it did: the same request of the same
 * token is taken for the same within this time, and is given the same bucket and key.
 */
const resendMilliseconds = 20_000

interface CreateAddOn {
  readonly organizationId?: string | null
  readonly appId?: string | null
  readonly name?: string | null
  readonly options?: unknown
}

/** Whether it is that bucket still, and not another that has its name now. */
const isSame = (standing: AddOn | undefined, addOn: AddOn): standing is AddOn =>
  standing?.providerId === addOn.providerId

interface Input<Fields> {
  readonly input: Fields
}

/**
 * What flyctl changes. Buckets are made and changed by the provider, over HTTP.
 *
 * V8  a create that comes again makes no second bucket, and is told what the first was told.
 */
export class Mutations {
  readonly #parts: FlyParts
  readonly #values: Values
  readonly #queries: Queries

  constructor(parts: FlyParts, values: Values, queries: Queries) {
    this.#parts = parts
    this.#values = values
    this.#queries = queries
  }

  roots() {
    const { apps, tokens } = this.#parts.accounts
    return {
      createAddOn: ({ input }: Input<CreateAddOn>, asking: Asking) => this.#create(input, asking),
      updateAddOn: ({ input }: Input<Parameters<Mutations['update']>[0]>, asking: Asking) => this.update(input, asking),
      deleteAddOn: ({ input }: Input<Parameters<Mutations['delete']>[0]>, asking: Asking) => this.delete(input, asking),
      createExtensionTosAgreement: (_: unknown, asking: Asking) => {
        needed(asking)
        return { clientMutationId: null }
      },
      createApp: async ({ input }: Input<{ organizationId: string; name?: string | null }>, asking: Asking) => ({
        app: this.#values.app(asking, await this.createApp(asking, input.organizationId, input.name ?? '')),
      }),
      setSecrets: async ({ input }: Input<Parameters<Mutations['setSecrets']>[0]>, asking: Asking) => ({
        app: this.#values.app(asking, await this.setSecrets(input, asking)),
        release: null,
      }),
      unsetSecrets: async ({ input }: Input<{ appId: string; keys: readonly string[] }>, asking: Asking) => {
        await this.#app(asking, input.appId, 'apps:change')
        const gone = new Map(input.keys.map((each) => [each, undefined] as const))
        return { app: this.#values.app(asking, await apps.setSecrets(input.appId, gone)), release: null }
      },
      logOut: async (_: unknown, asking: Asking) => {
        const { person, token } = needed(asking)
        await tokens.delete(person.id, token.id)
        return { ok: true }
      },
    }
  }

  #app(asking: Asking, name: string, action: 'apps:read' | 'apps:change'): Promise<App> {
    return appOf(this.#parts, needed(asking), name, action)
  }

  async createApp(asking: Asking, organization: string, name: string): Promise<App> {
    const { organizations, apps } = this.#parts.accounts
    const place = await organizations.authorize(needed(asking), organization, 'apps:change')
    return await apps.create(place.organization.id, name)
  }

  /** The app that a bucket is for, in the organisation that it is to be in. */
  async #target(input: CreateAddOn, asking: Asking): Promise<{ readonly place: Place; readonly app?: App }> {
    const { organizations, apps } = this.#parts.accounts
    const app = input.appId ? await this.#app(asking, input.appId, 'apps:change') : undefined
    const organization = app?.organization ?? input.organizationId ?? ''
    const place = await organizations.authorize(needed(asking), organization, 'buckets:change')
    if (app === undefined) return { place }
    const named = input.organizationId ?? ''
    if (named !== '' && named !== place.organization.id && named !== place.organization.slug) {
      throw new Refusal(422, 'invalid', 'The app is in another organization.')
    }
    const [other] = await apps.addOnsOf('app', app.name)
    if (other !== undefined && other.name !== input.name) {
      throw new Refusal(409, 'already_exists', `A bucket named ${other.name} already exists for app ${app.name}.`)
    }
    return { place, app }
  }

  async #create(input: CreateAddOn, asking: Asking) {
    const { person, token } = needed(asking)
    const { place, app } = await this.#target(input, asking)
    const id = await this.#idOf(token.id, input)
    const { organization, role } = place
    const made = await this.#values.provider.create({
      id,
      name: input.name ?? '',
      organization_id: organization.id,
      organization_name: organization.name,
      user_id: person.id,
      user_email: person.email,
      user_role: role === 'owner' || role === 'admin' ? 'admin' : 'member',
      ...(isFields(input.options) && { options: input.options }),
    })
    const { options } = await this.#values.provider.get(made.id)
    const addOn: AddOn = {
      id,
      name: made.name,
      organization: organization.id,
      ...(app !== undefined && { app: app.name }),
      providerId: made.id,
      options,
      created: this.#parts.world.now(),
    }
    await this.#parts.accounts.apps.changeAddOn(addOn.name, () => addOn)
    return { addOn: this.#values.addOn(asking, addOn, made.config) }
  }

  /** The same for the same request within a while. */
  async #idOf(token: string, input: CreateAddOn): Promise<string> {
    const asked = hashOf(JSON.stringify([token, input]))
    const fresh = randomId(this.#parts.world)
    return (await this.#parts.accounts.shortLived.add('create', asked, fresh, resendMilliseconds)) ?? fresh
  }

  async update(
    input: {
      readonly addOnId?: string | null
      readonly name?: string | null
      readonly provider?: string | null
      readonly options?: unknown
      readonly metadata?: unknown
    },
    asking: Asking,
  ) {
    checkProvider(input.provider)
    const addOn = await this.#queries.addOn(asking, input.addOnId ?? input.name ?? '')
    await this.#mayChange(asking, addOn)
    const options = isFields(input.options) ? input.options : {}
    const changed = await this.#values.provider.update(addOn.providerId ?? '', { options })
    // flyctl sends the options there once more.
    const isEcho = input.metadata === undefined || isDeepStrictEqual(input.metadata, input.options)
    const changes = {
      options: changed.options,
      ...(!isEcho && input.metadata !== null && { metadata: input.metadata }),
    }
    await this.#parts.accounts.apps.changeAddOn(addOn.name, (standing) =>
      isSame(standing, addOn) ? { ...standing, ...changes } : standing,
    )
    return { addOn: this.#values.addOn(asking, { ...addOn, ...changes }) }
  }

  async delete(
    input: { readonly addOnId?: string | null; readonly name?: string | null; readonly provider?: string | null },
    asking: Asking,
  ) {
    checkProvider(input.provider)
    const addOn = await this.#queries.addOn(asking, input.name ?? input.addOnId ?? '')
    await this.#mayChange(asking, addOn)
    await this.#values.provider.delete(addOn.providerId ?? '')
    await this.#parts.accounts.apps.changeAddOn(addOn.name, (standing) =>
      isSame(standing, addOn) ? undefined : standing,
    )
    return { deletedAddOnId: addOn.name, deletedAddOnName: addOn.name }
  }

  async #mayChange(asking: Asking, { organization }: AddOn): Promise<void> {
    await this.#parts.accounts.organizations.authorize(needed(asking), organization, 'buckets:change')
  }

  async setSecrets(
    input: {
      readonly appId: string
      readonly secrets: readonly { readonly key: string; readonly value: string }[]
      readonly replaceAll?: boolean | null
    },
    asking: Asking,
  ): Promise<App> {
    const app = await this.#app(asking, input.appId, 'apps:change')
    const given = new Map<string, string | undefined>()
    if (input.replaceAll === true) for (const name of Object.keys(app.secrets)) given.set(name, undefined)
    for (const { key, value } of input.secrets) given.set(key, value)
    return await this.#parts.accounts.apps.setSecrets(app.name, given)
  }
}
