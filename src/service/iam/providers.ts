import { Fault } from '#src/errors.ts'
import { checkTags, issuerOf, type Provider, providerArn, quotas, type TagList } from '#src/model/iam.ts'
import { type Entities, exceeded, missing, taken } from './entities.ts'

const invalid = (message: string): Fault => new Fault('ValidationError', { message })

/** AWS takes https alone; an issuer within the same network may speak plainly, and is then known by the keys it pins. */
function checkUrl(url: string): string {
  const isShort = url.length >= 1 && url.length <= 254
  const parsed = isShort && URL.canParse(url) ? new URL(url) : undefined
  const isSound =
    parsed !== undefined &&
    /^https?:$/.test(parsed.protocol) &&
    parsed.username === '' &&
    parsed.search === '' &&
    parsed.hash === ''
  if (!isSound) throw invalid('Invalid Open ID Connect Provider URL')
  return url
}

function checkClients(clients: readonly string[]): readonly string[] {
  if (clients.some((each) => each.length < 1 || each.length > 255)) throw invalid('A client id is 1 to 255 characters.')
  if (clients.length > quotas.clients)
    throw exceeded(`Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: ${quotas.clients}`)
  return [...new Set(clients)]
}

function checkThumbprints(thumbprints: readonly string[]): readonly string[] {
  if (thumbprints.some((each) => each.length !== 40)) throw invalid('Thumbprint must be of length 40')
  if (thumbprints.length > quotas.thumbprints)
    throw new Fault('InvalidInput', { message: 'Thumbprint list must contain fewer than 5 entries.' })
  return thumbprints
}

/** Issuers of web identities. https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html */
export class IamProviders {
  readonly #entities: Entities

  constructor(entities: Entities) {
    this.#entities = entities
  }

  async create(
    realm: string,
    request: {
      readonly url: string
      readonly clients: readonly string[]
      readonly thumbprints: readonly string[]
      readonly tags: TagList
    },
  ): Promise<string> {
    const { records } = this.#entities
    const url = checkUrl(request.url)
    const provider: Provider = {
      url,
      clients: checkClients(request.clients),
      thumbprints: checkThumbprints(request.thumbprints),
      created: this.#entities.now(),
      tags: checkTags(request.tags),
    }
    return await this.#entities.write(async (transaction) => {
      const standing = await records.all(transaction, realm, 'provider')
      if (standing.some(([name]) => name === issuerOf(url))) throw taken('provider', url)
      if (standing.length >= quotas.providers)
        throw exceeded(`Cannot exceed quota for OpenIdConnectProvidersPerAccount: ${quotas.providers}`)
      records.put(transaction, realm, 'provider', issuerOf(url), provider)
      return providerArn(realm, url)
    })
  }

  async get(realm: string, arn: string): Promise<Provider> {
    return await this.#entities.get(realm, 'provider', issuerIn(realm, arn))
  }

  async arns(realm: string): Promise<readonly string[]> {
    const all = await this.#entities.read((snapshot) => this.#entities.records.all(snapshot, realm, 'provider'))
    return all.map(([, { url }]) => providerArn(realm, url))
  }

  async delete(realm: string, arn: string): Promise<void> {
    const issuer = issuerIn(realm, arn)
    await this.#entities.write(async (transaction) => {
      await this.#entities.existing(transaction, realm, 'provider', issuer)
      this.#entities.records.remove(transaction, realm, 'provider', issuer)
    })
  }

  async addClient(realm: string, arn: string, client: string): Promise<void> {
    await this.#change(realm, arn, (provider) => ({
      ...provider,
      clients: checkClients([...provider.clients, client]),
    }))
  }

  async removeClient(realm: string, arn: string, client: string): Promise<void> {
    await this.#change(realm, arn, (provider) => ({
      ...provider,
      clients: provider.clients.filter((each) => each !== client),
    }))
  }

  async setThumbprints(realm: string, arn: string, thumbprints: readonly string[]): Promise<void> {
    await this.#change(realm, arn, (provider) => ({ ...provider, thumbprints: checkThumbprints(thumbprints) }))
  }

  async #change(realm: string, arn: string, change: (provider: Provider) => Provider): Promise<void> {
    const issuer = issuerIn(realm, arn)
    await this.#entities.write(async (transaction) => {
      const changed = change(await this.#entities.existing(transaction, realm, 'provider', issuer))
      this.#entities.records.put(transaction, realm, 'provider', issuer, changed)
    })
  }
}

function issuerIn(realm: string, arn: string): string {
  const prefix = providerArn(realm, '')
  if (!arn.startsWith(prefix) || arn.length === prefix.length) throw missing('provider', arn)
  return arn.slice(prefix.length)
}
