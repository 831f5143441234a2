import { deliver } from '#gateway/fly/deliver.ts'
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
import { Fault } from '#src/errors.ts'
import type { App, Lease, Machine, Release } from '#src/model/app.ts'
import { isFields } from '#src/model/provision.ts'
import { appOf, signedIn } from './asking.ts'

const nonceHeader = 'fly-machine-lease-nonce'
/** What flyctl asks for where it says nothing, in seconds. */
const leaseSeconds = 30

const iso = (milliseconds: number): string => new Date(milliseconds).toISOString()

/** Programs here have no image of their own; flyctl wants one that it can take apart. */
export const imageOf = (app: string): string => `registry.invalid/${app}:external`

/**
 * What flyctl asks of an app that runs: of its machines, https://fly.io/docs/machines/api/machines-resource/, and of its releases.
 * A machine is a place that an app's secrets are delivered to; to update it is to deliver them.
 */
export class Running {
  readonly #parts: FlyParts

  constructor(parts: FlyParts) {
    this.#parts = parts
  }

  routes(): readonly Route[] {
    const of = (method: string, path: string, handle: Route['handle']): Route => ({ method, path, handle })
    const machine = '/v1/apps/:name/machines/:id'
    return [
      of('GET', '/v1/apps/:name/machines', (request, { name = '' }) => this.#list(request, name)),
      of('GET', machine, (request, parameters) => this.#get(request, parameters)),
      of('POST', machine, (request, parameters) => this.#update(request, parameters)),
      of('GET', `${machine}/wait`, (request, parameters) => this.#wait(request, parameters)),
      of('GET', `${machine}/lease`, (request, parameters) => this.#leaseOf(request, parameters)),
      of('POST', `${machine}/lease`, (request, parameters) => this.#lease(request, parameters)),
      of('DELETE', `${machine}/lease`, (request, parameters) => this.#endLease(request, parameters)),
      of('POST', '/api/v1/releases', (request) => this.#beginRelease(request)),
      of('PATCH', '/api/v1/releases/:id', (request, { id = '' }) => this.#setRelease(request, id)),
    ]
  }

  async #app(request: FlyRequest, name: string, action: 'apps:read' | 'apps:change'): Promise<App> {
    return await appOf(this.#parts, await signedIn(this.#parts, request), name, action)
  }

  async #machine(request: FlyRequest, { name = '', id = '' }: Parameters): Promise<readonly [App, Machine]> {
    const app = await this.#app(request, name, 'apps:read')
    const machine = app.machines?.find((each) => each.id === id)
    if (machine === undefined) throw new Refusal(404, 'not_found', `There is no machine ${id}.`)
    return [app, machine]
  }

  async #list(request: FlyRequest, name: string): Promise<FlyAnswer> {
    const app = await this.#app(request, name, 'apps:read')
    return jsonAnswer(
      200,
      (app.machines ?? []).map((each) => this.#document(app, each)),
    )
  }

  async #get(request: FlyRequest, parameters: Parameters): Promise<FlyAnswer> {
    return jsonAnswer(200, this.#document(...(await this.#machine(request, parameters))))
  }

  /** They are where they should be as soon as they are told of. */
  async #wait(request: FlyRequest, parameters: Parameters): Promise<FlyAnswer> {
    await this.#machine(request, parameters)
    const state = request.query.get('state') ?? 'started'
    if (state !== 'started') throw new Refusal(408, 'deadline_exceeded', `The machine is started, and not ${state}.`)
    return jsonAnswer(200, { ok: true })
  }

  async #update(request: FlyRequest, { name = '', id = '' }: Parameters): Promise<FlyAnswer> {
    const { apps, machines } = this.#parts.accounts
    const app = await this.#app(request, name, 'apps:change')
    const given = jsonOf(request)['config']
    const config = isFields(given) ? given : undefined
    const nonce = request.headers[nonceHeader]
    const { place } = await leased(machines.check(app.name, id, nonce, config))
    try {
      await deliver(app.name, place, await apps.openSecrets(app.name))
    } catch (error) {
      this.#parts.log.error('secrets of an app could not be delivered', { app: app.name, file: place.file, error })
      throw new Refusal(422, 'not_delivered', "The secrets could not be delivered: the server's log says why.")
    }
    const changed = await leased(machines.delivered(app.name, id, nonce, config))
    return jsonAnswer(200, this.#document(app, changed))
  }

  async #leaseOf(request: FlyRequest, parameters: Parameters): Promise<FlyAnswer> {
    const [, { id, lease }] = await this.#machine(request, parameters)
    if (lease === undefined || lease.ends <= this.#parts.world.now()) {
      throw new Refusal(404, 'not_found', `Nobody has the lease of machine ${id}.`)
    }
    // The nonce is whose it is.
    return jsonAnswer(200, leaseAnswer({ ...lease, nonce: '' }))
  }

  async #lease(request: FlyRequest, { name = '', id = '' }: Parameters): Promise<FlyAnswer> {
    const who = await signedIn(this.#parts, request)
    const app = await appOf(this.#parts, who, name, 'apps:change')
    const asked = Number(request.query.get('ttl') ?? (request.body.length > 0 ? jsonOf(request)['ttl'] : undefined))
    const seconds = Number.isInteger(asked) && asked > 0 ? asked : leaseSeconds
    const nonce = request.headers[nonceHeader]
    const lease = await leased(
      this.#parts.accounts.machines.lease(app.name, id, {
        owner: who.person.email,
        seconds,
        ...(nonce !== undefined && nonce !== '' && { nonce }),
      }),
    )
    return jsonAnswer(201, leaseAnswer(lease))
  }

  async #endLease(request: FlyRequest, { name = '', id = '' }: Parameters): Promise<FlyAnswer> {
    const app = await this.#app(request, name, 'apps:change')
    await leased(this.#parts.accounts.machines.endLease(app.name, id, request.headers[nonceHeader]))
    return jsonAnswer(200, { ok: true })
  }

  async #beginRelease(request: FlyRequest): Promise<FlyAnswer> {
    const { app_name: name } = jsonOf(request)
    const app = await this.#app(request, String(name ?? ''), 'apps:change')
    const release = await this.#parts.accounts.machines.beginRelease(app.name)
    return jsonAnswer(201, { release: releaseDocument(app.name, release) })
  }

  async #setRelease(request: FlyRequest, id: string): Promise<FlyAnswer> {
    const app = await this.#app(request, id.replace(/-\d+$/, ''), 'apps:change')
    const { status } = jsonOf(request)
    const word = String(status ?? '').slice(0, 32)
    const release = await this.#parts.accounts.machines.setRelease(app.name, id, word)
    return jsonAnswer(200, releaseDocument(app.name, release))
  }

  #document({ name }: App, { id, instance, deliveries, created, updated, config, place }: Machine): unknown {
    return {
      id,
      name: `${name}-${place.to}`,
      state: 'started',
      region: this.#parts.region,
      instance_id: instance,
      version: instance,
      private_ip: '',
      created_at: iso(created),
      updated_at: iso(updated),
      host_status: 'ok',
      checks: [],
      events: [{ id: instance, type: 'start', status: 'started', source: 'flyd', timestamp: updated }],
      image_ref: { registry: 'registry.invalid', repository: name, tag: 'external', digest: '', labels: {} },
      config: config ?? firstConfig(name),
      deliveries,
    }
  }
}

/** What flyctl needs to know a machine as one of its own platform. */
const firstConfig = (app: string): Readonly<Record<string, unknown>> => ({
  image: imageOf(app),
  env: {},
  init: {},
  restart: { policy: 'always' },
  guest: { cpu_kind: 'shared', cpus: 1, memory_mb: 256 },
  metadata: { fly_platform_version: 'v2', fly_process_group: 'app' },
})

/** Where somebody else has the lease: to flyctl a conflict, for a while. */
async function leased<Result>(changing: Promise<Result>): Promise<Result> {
  try {
    return await changing
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'EntityAlreadyExists') throw error
    throw new Refusal(409, 'lease_held', error.message)
  }
}

const leaseAnswer = ({ nonce, owner, ends }: Lease): unknown => ({
  status: 'success',
  data: { nonce, owner, expires_at: Math.floor(ends / 1_000) },
})

const releaseDocument = (app: string, { id, version, status, created }: Release): unknown => ({
  id,
  version,
  stable: status === 'complete',
  in_progress: status === 'pending' || status === 'running',
  status,
  strategy: 'ROLLING',
  user: '',
  created_at: iso(created),
  image_ref: imageOf(app),
})
