import type { FlyRequest } from '#gateway/fly/exchange.ts'
import { type FlyAnswer, jsonAnswer, type Parameters, Refusal, type Route } from '#gateway/fly/exchange.ts'
import { type FlyParts, providerPath, providerSecrets, verifierOf } from '#gateway/fly/parts.ts'
import { type Fields, type Issuer, replayed, type Signed, type Verifier } from '#gateway/fly/signature.ts'
import { Fault } from '#src/errors.ts'
import { isFields, type Provisioned, parseOptions, writeOptions } from '#src/model/provision.ts'
import { variablesOf } from '#src/model/variables.ts'
import type { ExternalOrganization } from '#src/service/accounts/externals.ts'
import { hashOf } from '#src/service/accounts/tokens.ts'
import type { Given } from '#src/service/provisioning/provisioning.ts'

/** Objects are counted up to so many; of more, usage tells. */
const countedMost = 10_000

const optionNames = ['public', 'accelerate', 'website', 'shadow_bucket', 'Public', 'Accelerate'] as const

/** Ids of Fly's are theirs: what is made here for anybody else never has one that begins so. */
export const externalIdOf = (issuer: Issuer, id: string): string => `${issuer}:${id}`

/** Whether Fly asked for it. */
export const isFlys = ({ externalId }: Provisioned): boolean => externalId?.startsWith(externalIdOf('fly', '')) === true

/** Instead of what is not there. Throws what is another Fault. */
export function unlessMissing(error: unknown): undefined {
  if (error instanceof Fault && error.code === 'NoSuchEntity') return undefined
  throw error
}

/**
 * Fly's extension provider API: https://fly.io/docs/reference/extensions_api/
 *
 * V4  who signs for one issuer neither sees nor changes what was provisioned for another.
 */
export class Extensions {
  readonly #parts: FlyParts
  readonly #verifier: Verifier

  constructor(parts: FlyParts) {
    this.#parts = parts
    this.#verifier = verifierOf(parts, () => providerSecrets(parts))
  }

  routes(): readonly Route[] {
    const base = `${providerPath}/extensions`
    const one = `${base}/:id`
    return [
      { method: 'POST', path: base, handle: this.#signed((signed) => this.#provision(signed), true) },
      { method: 'POST', path: `${base}/events`, handle: (request) => this.#event(request) },
      { method: 'GET', path: one, handle: this.#signed((signed, { id = '' }) => this.#get(signed, id)) },
      { method: 'PATCH', path: one, handle: this.#signed((signed, { id = '' }) => this.#update(signed, id)) },
      { method: 'DELETE', path: one, handle: this.#signed((signed, { id = '' }) => this.#delete(signed, id)) },
    ]
  }

  /** `resends`: whether what was done before can be told again. */
  #signed(handle: (signed: Signed, parameters: Parameters) => Promise<FlyAnswer>, resends = false): Route['handle'] {
    return async (request, parameters) => {
      const signed = await this.#verifier.verify(request)
      if (signed.isResend && !resends) throw replayed()
      try {
        const answer = await handle(signed, parameters)
        if (request.method === 'GET') return answer
        const missing = await this.#parts.settled()
        if (missing.length === 0) return answer
        return { ...answer, headers: { ...answer.headers, 'x-meridian-unconfirmed': missing.join(',') } }
      } catch (error) {
        const isOurs = !(error instanceof Refusal) && !(error instanceof Fault && error.code !== 'ServiceUnavailable')
        if (isOurs) await signed.forget()
        throw error
      }
    }
  }

  async #provision({ issuer, fields, isResend }: Signed): Promise<FlyAnswer> {
    const { provisioning } = this.#parts.accounts
    const id = text(fields, 'id')
    const organization = text(fields, 'organization_id')
    const name = optional(fields, 'name')
    const options = isFields(fields['options']) ? fields['options'] : picked(fields)
    const asked = digest([name, organization, picked(options)])
    const given = await provisioning
      .provision({
        organization: this.#organization(issuer, fields),
        ...(name !== '' && { name }),
        externalId: externalIdOf(issuer, id),
        options: parseOptions(options),
        asked,
        isRepeat: isResend,
      })
      .catch((error: unknown) => {
        // The bytes were seen before: what they made is not here any more, or never was.
        throw isResend && error instanceof Fault && error.code === 'NoSuchEntity' ? replayed() : error
      })
    return jsonAnswer(200, {
      id: given.provisioned.id,
      name: given.provisioned.bucket,
      config: this.#config(given),
    })
  }

  #config({ provisioned, key }: Given): Readonly<Record<string, string>> {
    return variablesOf(provisioned.bucket, key, this.#parts.places().storage)
  }

  /** The own control plane knows what is here; Fly's organisations and people come as they are first heard of. */
  #organization(issuer: Issuer, fields: Fields): string | ExternalOrganization {
    const id = text(fields, 'organization_id')
    if (issuer === 'own') return id
    const user = optional(fields, 'user_id')
    const person = {
      externalId: externalIdOf('fly', user),
      email: optional(fields, 'user_email'),
      isAdmin: optional(fields, 'user_role') === 'admin',
    }
    const name = optional(fields, 'organization_name')
    return { externalId: externalIdOf('fly', id), name: name === '' ? id : name, ...(user !== '' && { person }) }
  }

  async #get({ issuer }: Signed, id: string): Promise<FlyAnswer> {
    return jsonAnswer(200, await this.#document(await this.#find(issuer, id, {})))
  }

  async #update({ issuer, fields }: Signed, id: string): Promise<FlyAnswer> {
    const { provisioning } = this.#parts.accounts
    const standing = await this.#find(issuer, id, fields)
    const name = optional(fields, 'name')
    if (name !== '' && name !== standing.bucket) {
      throw new Refusal(422, 'invalid_name', 'A bucket keeps its name.')
    }
    const options = isFields(fields['options']) ? fields['options'] : picked(fields)
    return jsonAnswer(200, await this.#document(await provisioning.update(id, parseOptions(options))))
  }

  async #delete({ issuer, fields }: Signed, id: string): Promise<FlyAnswer> {
    await this.#find(issuer, id, fields)
    await this.#parts.accounts.provisioning.destroy(id)
    return { status: 204 }
  }

  /** Of this issuer, and of the organisation that is named, if one is. Fault `NoSuchEntity` all the same. */
  async #find(issuer: Issuer, id: string, fields: Fields): Promise<Provisioned> {
    const { provisioning, organizations } = this.#parts.accounts
    const found = await provisioning.get(id)
    const named = optional(fields, 'organization_id')
    const isTheirs =
      named === '' ||
      named === found.organization ||
      (await organizations.get(found.organization)).externalId === externalIdOf(issuer, named)
    if (isFlys(found) !== (issuer === 'fly') || !isTheirs)
      throw new Fault('NoSuchEntity', { message: 'There is no such extension.' })
    return found
  }

  async #document(provisioned: Provisioned): Promise<Readonly<Record<string, unknown>>> {
    const bucket = await this.#parts.accounts.provisioning.bucketOf(provisioned)
    const size = bucket && (await this.#parts.services.listings.measure(bucket, countedMost))
    return {
      ...resourceOf(provisioned, bucket === undefined ? 'error' : 'ready'),
      ...(bucket === undefined && { error_message: 'The bucket was deleted.' }),
      ...(size !== undefined && { usage: { bytes: size.bytes, objects: size.objects } }),
    }
  }

  /** What Fly tells is not acted upon yet; it is taken, once. */
  async #event(request: FlyRequest): Promise<FlyAnswer> {
    const { isResend, issuer } = await this.#verifier.verify(request)
    const id = request.headers['ce-id'] ?? ''
    const isNew =
      !isResend &&
      (await this.#parts.accounts.shortLived.add('event', digest([issuer, id]), true, 86_400_000)) === undefined
    if (isNew) this.#parts.log.info('an event came from Fly', { type: request.headers['ce-type'] ?? '', id })
    return { status: 204 }
  }
}

/** What is shown of a provisioned bucket, also in what Fly is told. */
export const resourceOf = (provisioned: Provisioned, status: string): Readonly<Record<string, unknown>> => ({
  id: provisioned.id,
  name: provisioned.bucket,
  status,
  plan: 'default',
  options: writeOptions(provisioned.options),
  created_at: new Date(provisioned.created).toISOString(),
  updated_at: new Date(provisioned.updated).toISOString(),
})

const digest = (value: unknown): string => hashOf(JSON.stringify(value))

const picked = (fields: Fields): Fields =>
  Object.fromEntries(optionNames.filter((each) => fields[each] !== undefined).map((each) => [each, fields[each]]))

function optional(fields: Fields, name: string): string {
  const value = fields[name]
  if (value === undefined || value === null) return ''
  if (typeof value === 'string' && value.length <= 250 && value.isWellFormed()) return value
  throw new Refusal(422, 'invalid', `The field ${name} is a text of at most 250 characters.`)
}

function text(fields: Fields, name: string): string {
  const value = optional(fields, name)
  if (value === '') throw new Refusal(422, 'invalid', `The field ${name} is missing.`)
  return value
}
