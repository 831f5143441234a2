import type { Accounts } from '#src/service/accounts/open.ts'
import type { SignedIn } from '#src/service/accounts/tokens.ts'
import { hookSecret } from '#src/service/provisioning/hooks.ts'
import type { Services } from '#src/service/services.ts'
import type { Log } from '#src/telemetry/log.ts'
import type { World } from '#src/world.ts'
import { cookieOf, type FlyRequest } from './exchange.ts'
import { type SigningSecret, Verifier } from './signature.ts'

/** Where things are, known once the server listens. */
export interface Places {
  /** What others call this server, without a slash at the end. */
  readonly public: string
  /** The same from this machine. */
  readonly local: string
  /** Fly's API: the real one, or this server. */
  readonly api: string
  /** What programs reach the buckets at. */
  readonly storage: string
}

/** What all of Fly's side is made of. */
export interface FlyParts {
  readonly accounts: Accounts
  readonly services: Pick<Services, 'listings' | 'identity'>
  readonly world: World
  readonly log: Log
  /** Code of the region that serves it. */
  readonly region: string
  readonly places: () => Places
  readonly skewMilliseconds: number
  /** Fly's own: from files, read again at each use. */
  readonly fly: {
    readonly provider: () => readonly string[]
    readonly webhook: () => string | undefined
    readonly oauth: () => { readonly id: string; readonly secret: string } | undefined
  }
  /** Resolves once all regions that can be reached have what was changed, or after some seconds, with the codes of those that have not. */
  readonly settled: () => Promise<readonly string[]>
}

/** The name of the provider in Fly's world: flyctl has it built in. */
export const providerName = 'tigris'
/** Where the provider's own paths begin. */
export const providerPath = '/flyio'

export const ownSecret = { provider: 'fly provider', webhook: hookSecret, oauth: 'fly oauth' } as const

export async function providerSecrets({ fly, accounts }: FlyParts): Promise<readonly SigningSecret[]> {
  const own = await accounts.secrets.get(ownSecret.provider)
  return [...fly.provider().map((secret) => ({ issuer: 'fly', secret }) as const), { issuer: 'own', secret: own }]
}

/** Of requests to this server that are signed with one of these. */
export const verifierOf = (
  { world, accounts, skewMilliseconds, places }: FlyParts,
  secrets: () => Promise<readonly SigningSecret[]>,
): Verifier =>
  new Verifier({
    world,
    shortLived: accounts.shortLived,
    skewMilliseconds,
    secrets,
    bases: () => [places().public, places().local],
  })

/** Whether people sign in, and are told of changes, here and not at Fly's. */
export const isOwnApi = (places: Places): boolean => places.api === places.public

export const sessionCookie = 'meridian_session'

/** Who a browser's request comes from; undefined: nobody who signed in. */
export async function browserOf({ accounts }: FlyParts, request: FlyRequest): Promise<SignedIn | undefined> {
  const secret = cookieOf(request, sessionCookie)
  const found = secret === undefined ? undefined : await accounts.tokens.authenticate(secret)
  return found?.token.kind === 'session' ? found : undefined
}

export const cookie = (places: Places, name: string, value: string, seconds: number): string =>
  `${name}=${value}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${seconds}${places.public.startsWith('https:') ? '; Secure' : ''}`
