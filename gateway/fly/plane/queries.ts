import { GraphQLError } from 'graphql'
import { type FlyParts, providerName } from '#gateway/fly/parts.ts'
import type { AddOn } from '#src/model/app.ts'
import { type Asking, appOf, needed } from './asking.ts'
import type { Values } from './values.ts'

interface Named {
  readonly name?: string | null
  readonly provider?: string | null
}

export const noAddOn = (name: string): GraphQLError =>
  new GraphQLError(`Could not find a bucket ${name}.`, { extensions: { code: 'NOT_FOUND' } })

export function checkProvider(name: string | null | undefined): void {
  // Older programs name none.
  if (name === null || name === undefined || name === '' || name === providerName) return
  throw new GraphQLError(`There is no provider ${name}.`, { extensions: { code: 'NOT_FOUND' } })
}

/** What may be read; who asks is told of what their organisations have, and of nothing else. */
export class Queries {
  readonly #parts: FlyParts
  readonly #values: Values

  constructor(parts: FlyParts, values: Values) {
    this.#parts = parts
    this.#values = values
  }

  roots() {
    const { organizations, apps } = this.#parts.accounts
    const values = this.#values
    return {
      viewer: (_: unknown, asking: Asking) => {
        const { person } = needed(asking)
        const { id, email, name } = person
        return {
          __typename: 'User',
          id,
          email,
          name,
          enablePaidHobby: false,
          agreedToProviderTos: () => true,
        }
      },
      organization: async ({ id, slug }: { id?: string | null; slug?: string | null }, asking: Asking) =>
        values.organization(await organizations.authorize(needed(asking), id ?? slug ?? '', 'organization:read')),
      organizations: async ({ admin }: { admin?: boolean | null }, asking: Asking) => {
        const places = (await organizations.placesOf(needed(asking))).map((each) => values.organization(each))
        return { nodes: admin === true ? places.filter(({ viewerRole }) => viewerRole === 'admin') : places }
      },
      app: async ({ name }: Named, asking: Asking) => {
        return values.app(asking, await appOf(this.#parts, needed(asking), name ?? '', 'apps:read'))
      },
      addOn: async ({ name, provider }: Named, asking: Asking) => {
        checkProvider(provider)
        return values.addOn(asking, await this.addOn(asking, name ?? ''))
      },
      addOns: async (_: unknown, asking: Asking) => {
        const places = await organizations.placesOf(needed(asking))
        const all = await Promise.all(places.map(({ organization: { id } }) => apps.addOnsOf('organization', id)))
        return values.addOns(asking, all.flat())
      },
      addOnProvider: ({ name }: Named, asking: Asking) => {
        needed(asking)
        checkProvider(name)
        return values.addOnProvider()
      },
    }
  }

  /** Of an organisation of theirs. Rejects with NOT_FOUND: also what is another's. */
  async addOn(asking: Asking, name: string): Promise<AddOn> {
    const who = needed(asking)
    const found = await this.#parts.accounts.apps.addOn(name)
    const places = found === undefined ? [] : await this.#parts.accounts.organizations.placesOf(who)
    if (found === undefined || !places.some(({ organization }) => organization.id === found.organization)) {
      throw noAddOn(name)
    }
    return found
  }
}
