import {
  type FlyAnswer,
  type FlyRequest,
  jsonAnswer,
  jsonOf,
  type Parameters,
  Refusal,
  type Route,
} from '#gateway/fly/exchange.ts'
import type { FlyParts } from '#gateway/fly/parts.ts'
import type { App } from '#src/model/app.ts'
import type { SignedIn } from '#src/service/accounts/tokens.ts'
import { appOf, whoAsks } from './asking.ts'

/** What flyctl asks of Fly's Machines API: https://fly.io/docs/machines/api/. No machine runs here, so an app has none. */
export class Machines {
  readonly #parts: FlyParts

  constructor(parts: FlyParts) {
    this.#parts = parts
  }

  routes(): readonly Route[] {
    return [
      { method: 'POST', path: '/v1/apps', handle: (request) => this.#create(request) },
      { method: 'GET', path: '/v1/apps/:name', handle: (request, parameters) => this.#get(request, parameters) },
      { method: 'DELETE', path: '/v1/apps/:name', handle: (request, parameters) => this.#delete(request, parameters) },
      {
        method: 'GET',
        path: '/v1/apps/:name/machines',
        handle: (request, parameters) => this.#list(request, parameters),
      },
    ]
  }

  async #who(request: FlyRequest): Promise<SignedIn> {
    const who = await whoAsks(this.#parts, request)
    if (who === undefined) throw new Refusal(401, 'unauthorized', 'The request has no token that is known here.')
    return who
  }

  async #create(request: FlyRequest): Promise<FlyAnswer> {
    const who = await this.#who(request)
    const { app_name: appName, name, org_slug: slug } = jsonOf(request)
    const { organizations, apps } = this.#parts.accounts
    const place = await organizations.authorize(who, String(slug ?? ''), 'apps:change')
    const app = await apps.create(place.organization.id, String(appName ?? name ?? ''))
    return jsonAnswer(201, await this.#document(app))
  }

  async #get(request: FlyRequest, { name = '' }: Parameters): Promise<FlyAnswer> {
    return jsonAnswer(200, await this.#document(await appOf(this.#parts, await this.#who(request), name, 'apps:read')))
  }

  async #delete(request: FlyRequest, { name = '' }: Parameters): Promise<FlyAnswer> {
    const app = await appOf(this.#parts, await this.#who(request), name, 'apps:change')
    await this.#parts.accounts.apps.delete(app.name)
    return { status: 202 }
  }

  async #list(request: FlyRequest, { name = '' }: Parameters): Promise<FlyAnswer> {
    await appOf(this.#parts, await this.#who(request), name, 'apps:read')
    return jsonAnswer(200, [])
  }

  async #document({ name, number, organization: id }: App): Promise<unknown> {
    const organization = await this.#parts.accounts.organizations.get(id)
    return {
      id: name,
      name,
      internal_numeric_id: number,
      network: 'default',
      status: 'pending',
      machine_count: 0,
      volume_count: 0,
      organization: { name: organization.name, slug: organization.slug, internal_numeric_id: organization.number },
      cname_target: '',
      app_role: '',
    }
  }
}
