import { isFields } from '#src/model/provision.ts'
import type { HookMessage } from '#src/service/provisioning/hooks.ts'
import { type FlyAnswer, type FlyRequest, Refusal, type Route } from './exchange.ts'
import { type FlyParts, isOwnApi, ownSecret, providerName, verifierOf } from './parts.ts'
import { isFlys, resourceOf, unlessMissing } from './provider/extensions.ts'
import type { Verifier } from './signature.ts'
import { callSigned } from './signed-call.ts'

const hookPath = '/api/hooks/extensions'

/** Tells Fly, or this store's own control plane, of a change: https://fly.io/docs/reference/extensions_api/#webhooks */
export async function tellChange(
  parts: FlyParts,
  { kind, provisioned }: HookMessage,
  signal: AbortSignal,
): Promise<void> {
  const places = parts.places()
  // Fly hears of what it asked for; the own control plane of all else.
  const toOwn = isOwnApi(places) || !isFlys(provisioned)
  const secret = toOwn ? await parts.accounts.secrets.get(ownSecret.webhook) : parts.fly.webhook()
  if (secret === undefined) return
  const status = kind === 'deleted' ? 'deleted' : 'ready'
  const resource = {
    ...resourceOf(provisioned, status),
    organization_id: provisioned.organization,
    external_id: provisioned.externalId ?? '',
  }
  const url = `${toOwn ? places.local : places.api}${hookPath}/${providerName}`
  const fields = { action: `resource.${kind}`, resource }
  const answer = await callSigned(parts.world, { method: 'POST', url, fields, secret }, signal)
  if (answer.status < 200 || answer.status >= 300) throw new Error(`the word of a change was answered ${answer.status}`)
}

/**
 * What the control plane hears of the provider: so that what was made or taken away by another way, or whose answer never came, is in
 * its lists too.
 */
export class HookReceiver {
  readonly #parts: FlyParts
  readonly #verifier: Verifier

  constructor(parts: FlyParts) {
    this.#parts = parts
    const { secrets } = parts.accounts
    this.#verifier = verifierOf(parts, async () => [{ issuer: 'own', secret: await secrets.get(ownSecret.webhook) }])
  }

  routes(): readonly Route[] {
    return [{ method: 'POST', path: `${hookPath}/:provider`, handle: (request) => this.#take(request) }]
  }

  async #take(request: FlyRequest): Promise<FlyAnswer> {
    const signed = await this.#verifier.verify(request)
    const { resource } = signed.fields
    if (!isFields(resource)) throw new Refusal(422, 'invalid', 'There is no resource in it.')
    try {
      await this.#follow(String(resource['id'] ?? ''), String(resource['name'] ?? ''))
    } catch (error) {
      await signed.forget()
      throw error
    }
    return { status: 204 }
  }

  /** By what there is now, and not by what was: words come in any order, and more than once. */
  async #follow(id: string, name: string): Promise<void> {
    const { provisioning, apps } = this.#parts.accounts
    const found = await provisioning.get(id).catch(unlessMissing)
    if (found === undefined) {
      await apps.changeAddOn(name, (standing) => (standing?.providerId === id ? undefined : standing))
      return
    }
    if (isFlys(found)) return
    const { options } = resourceOf(found, 'ready')
    await apps.changeAddOn(found.bucket, (standing) => ({
      id: found.externalId ?? found.id,
      created: found.created,
      // What another bucket of that name had, such as one of another organisation, is not this one's.
      ...(standing?.providerId === id && standing),
      organization: found.organization,
      name: found.bucket,
      providerId: id,
      options: isFields(options) ? options : {},
    }))
  }
}
