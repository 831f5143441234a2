import { Refusal } from '#gateway/fly/exchange.ts'
import { type FlyParts, ownSecret, providerPath } from '#gateway/fly/parts.ts'
import { callSigned, type SignedCall } from '#gateway/fly/signed-call.ts'
import { isFields } from '#src/model/provision.ts'

export interface Extension {
  readonly id: string
  readonly name: string
  readonly status: string
  readonly message: string
  readonly options: Readonly<Record<string, unknown>>
  /** Of the answer to a POST alone. */
  readonly config: Readonly<Record<string, string>>
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '')

function extensionOf(value: unknown): Extension {
  const fields = isFields(value) ? value : {}
  const config = isFields(fields['config']) ? fields['config'] : {}
  return {
    id: text(fields['id']),
    name: text(fields['name']),
    status: text(fields['status']),
    message: text(fields['error_message']),
    options: isFields(fields['options']) ? fields['options'] : {},
    config: Object.fromEntries(Object.entries(config).map(([name, each]) => [name, text(each)])),
  }
}

/** The provider, as Fly reaches it: over HTTP, with signed requests. A Refusal is what it answered. */
export class ProviderClient {
  readonly #parts: FlyParts

  constructor(parts: FlyParts) {
    this.#parts = parts
  }

  async create(fields: Readonly<Record<string, unknown>>): Promise<Extension> {
    return extensionOf(await this.#call('POST', '', fields))
  }

  async get(id: string): Promise<Extension> {
    return extensionOf(await this.#call('GET', id, {}))
  }

  async update(id: string, fields: Readonly<Record<string, unknown>>): Promise<Extension> {
    return extensionOf(await this.#call('PATCH', id, fields))
  }

  /** A repeat does nothing. */
  async delete(id: string): Promise<void> {
    await this.#call('DELETE', id, {}).catch((error: unknown) => {
      if (!(error instanceof Refusal && error.status === 404)) throw error
    })
  }

  async #call(method: SignedCall['method'], id: string, fields: SignedCall['fields']): Promise<unknown> {
    const secret = await this.#parts.accounts.secrets.get(ownSecret.provider)
    const base = `${this.#parts.places().local}${providerPath}/extensions`
    const url = id === '' ? base : `${base}/${encodeURIComponent(id)}`
    const { status, value } = await callSigned(this.#parts.world, { method, url, fields, secret })
    if (status >= 200 && status < 300) return value
    const { error, code } = isFields(value) ? value : {}
    throw new Refusal(status, text(code) || 'provider', text(error) || `The provider answered ${status}.`)
  }
}
