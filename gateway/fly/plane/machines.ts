import {
  type FlyAnswer,
  type FlyRequest,
  jsonAnswer,
  jsonOf,
  type Parameters,
  type Route,
} from '#gateway/fly/exchange.ts'
import type { FlyParts } from '#gateway/fly/parts.ts'
import type { App } from '#src/model/app.ts'
import { appOf, signedIn } from './asking.ts'

/** What flyctl asks of apps by Fly's Machines API: https://fly.io/docs/machines/api/apps-resource/ */
export class Machines {
  readonly #parts: FlyParts

  constructor(parts: FlyParts) {
    this.#parts = parts
  }

  routes(): readonly Route[] {
    const of = (method: string, path: string, handle: Route['handle']): Route => ({ method, path, handle })
    return [
      of('POST', '/v1/apps', (request) => this.#create(request)),
      of('GET', '/v1/apps/:name', (request, parameters) => this.#get(request, parameters)),
      of('DELETE', '/v1/apps/:name', (request, parameters) => this.#delete(request, parameters)),
      of('GET', '/v1/apps/:name/ip_assignments', (request, parameters) => this.#addresses(request, parameters)),
    ]
  }

  async #create(request: FlyRequest): Promise<FlyAnswer> {
    const who = await signedIn(this.#parts, request)
    const { app_name: appName, name, org_slug: slug } = jsonOf(request)
    const { organizations, apps } = this.#parts.accounts
    const place = await organizations.authorize(who, String(slug ?? ''), 'apps:change')
    const app = await apps.create(place.organization.id, String(appName ?? name ?? ''))
    return jsonAnswer(201, await this.#document(app))
  }

  async #get(request: FlyRequest, { name = '' }: Parameters): Promise<FlyAnswer> {
    const who = await signedIn(this.#parts, request)
    return jsonAnswer(200, await this.#document(await appOf(this.#parts, who, name, 'apps:read')))
  }

  async #delete(request: FlyRequest, { name = '' }: Parameters): Promise<FlyAnswer> {
    const app = await appOf(this.#parts, await signedIn(this.#parts, request), name, 'apps:change')
    await this.#parts.accounts.apps.delete(app.name)
    return { status: 202 }
  }

  /** Nobody is led to an app by this server. */
  async #addresses(request: FlyRequest, { name = '' }: Parameters): Promise<FlyAnswer> {
    await appOf(this.#parts, await signedIn(this.#parts, request), name, 'apps:read')
    return jsonAnswer(200, { ips: [] })
  }

  async #document({ name, number, organization: id, machines = [] }: App): Promise<unknown> {
    const organization = await this.#parts.accounts.organizations.get(id)
    return {
      id: name,
      name,
      internal_numeric_id: number,
      network: 'default',
      status: machines.length > 0 ? 'deployed' : 'pending',
      machine_count: machines.length,
      volume_count: 0,
      organization: { name: organization.name, slug: organization.slug, internal_numeric_id: organization.number },
      cname_target: '',
      app_role: '',
    }
  }
}
