import { Fault } from '#src/errors.ts'
import {
  checkTags,
  folded,
  type Provider,
  parseArn,
  providerArn,
  quotas,
  type Role,
  rootArn,
  sizeOf,
  type TagList,
} from '#src/model/iam.ts'
import { type Account, type Caller, realmOf } from '#src/model/identity.ts'
import { parseIdentityPolicy } from '#src/model/policy-document.ts'
import { findManaged } from '#src/service/iam/bearers.ts'
import { Entities, type IamParts } from '#src/service/iam/entities.ts'
import { alphanumeric, randomWord, upperCase } from '#src/service/random-words.ts'
import type { Reach } from '#src/webhook/addresses.ts'
import { IssuerKeys } from './issuer-keys.ts'
import { type Session, SessionTokens } from './session-tokens.ts'
import { WebIdentities, type WebIdentity } from './web-identity.ts'

export interface Credentials {
  readonly accessKeyId: string
  readonly secret: string
  readonly token: string
  readonly expires: number
}

/** A role as it was asked for, and where it is. */
export interface FoundRole {
  readonly arn: string
  readonly realm: string
  readonly role: Role
}

export interface SessionWish {
  readonly name: string
  readonly seconds: number | undefined
  readonly policy?: string | undefined
  readonly policyArns: readonly string[]
  readonly tags: TagList
}

type Signed = Extract<Caller, { kind: 'account' }>

const defaultSeconds = 3_600
/** https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining */
const chainedSecondsMax = 3_600
const rootSecondsMax = 3_600
const sessionSecondsMax = 43_200

/** The service of temporary credentials, put together; `reach`: where issuers of web identities may be. */
export function openSts(parts: IamParts, reach: Reach): Sts {
  const identities = new WebIdentities({ world: parts.world, keys: new IssuerKeys(parts.world, reach) })
  return new Sts({ entities: new Entities(parts), tokens: new SessionTokens(parts), identities })
}

/** Temporary credentials. https://docs.aws.amazon.com/STS/latest/APIReference/welcome.html */
export class Sts {
  readonly #entities: Entities
  readonly #tokens: SessionTokens
  readonly #identities: WebIdentities

  constructor(parts: {
    readonly entities: Entities
    readonly tokens: SessionTokens
    readonly identities: WebIdentities
  }) {
    this.#entities = parts.entities
    this.#tokens = parts.tokens
    this.#identities = parts.identities
  }

  /** Who asks, as GetCallerIdentity tells it. */
  identityOf({ account, principal }: Signed): { readonly id: string; readonly account: string; readonly arn: string } {
    const realm = realmOf(account)
    if (principal === undefined) return { id: account.id, account: realm, arn: rootArn(account.id) }
    return { id: principal.id, account: realm, arn: principal.arn }
  }

  async sessionToken({ account, principal }: Signed, seconds: number | undefined): Promise<Credentials> {
    if (principal?.isTemporary === true) {
      throw new Fault('AccessDenied', { message: 'Cannot call GetSessionToken with session credentials' })
    }
    const isRoot = principal === undefined
    const wanted = seconds ?? (isRoot ? rootSecondsMax : sessionSecondsMax)
    const name = principal?.name
    const life = isRoot ? Math.min(wanted, rootSecondsMax) : wanted
    return await this.#give(account.id, life, {
      ...(name !== undefined && principal !== undefined && { user: { name: folded(name), id: principal.id } }),
    })
  }

  /** AccessDenied where there is none: who may not take it on must not learn whether it is there. */
  async findRole(arn: string): Promise<FoundRole> {
    const parsed = parseArn(arn)
    const refused = new Fault('AccessDenied', { message: `Not authorized to assume the role ${arn}` })
    if (parsed?.kind !== 'role') throw refused
    const { realm, name, rest } = parsed
    const role = await this.#entities.read((snapshot) =>
      this.#entities.records.find(snapshot, realm, 'role', folded(name)),
    )
    if (role === undefined || `${role.path}${role.name}` !== `/${rest}`) throw refused
    return { arn, realm, role }
  }

  /** The provider of the role's account that vouches for a token, and what it vouches for, verified. */
  async verify({ realm }: FoundRole, token: string): Promise<{ readonly arn: string; readonly identity: WebIdentity }> {
    const issuer = this.#identities.issuerOf(token)
    const provider: Provider | undefined = await this.#entities.read((snapshot) =>
      this.#entities.records.find(snapshot, realm, 'provider', issuer),
    )
    if (provider === undefined) {
      throw new Fault('InvalidIdentityToken', {
        message: `No OpenIDConnect provider found in your account for ${issuer}`,
      })
    }
    return { arn: providerArn(realm, provider.url), identity: await this.#identities.verify(provider, token) }
  }

  /** A session of a role, for one who was found to be allowed to take it on. */
  async roleSession(found: FoundRole, wish: SessionWish, isChained: boolean): Promise<Credentials> {
    const { realm, role } = found
    const most = isChained ? chainedSecondsMax : role.sessionSecondsMax
    const seconds = wish.seconds ?? Math.min(defaultSeconds, most)
    if (seconds > most) {
      throw new Fault('ValidationError', {
        message: 'The requested DurationSeconds exceeds the MaxSessionDuration set for this role.',
      })
    }
    const { policy, policyArns } = wish
    if (policy !== undefined) {
      if (sizeOf(policy) > quotas.session) throw new Fault('PackedPolicyTooLarge')
      parseIdentityPolicy(policy)
    }
    for (const arn of policyArns) {
      const managed = await this.#entities.read((snapshot) => findManaged(this.#entities, snapshot, realm, arn))
      if (managed === undefined) throw new Fault('MalformedPolicyDocument', { message: `There is no policy ${arn}.` })
    }
    const tags = checkTags(wish.tags)
    return await this.#give(role.accountId, seconds, {
      role: { name: folded(role.name), id: role.id, session: wish.name },
      ...(policy !== undefined && { policy }),
      ...(policyArns.length > 0 && { policyArns }),
      ...(tags.length > 0 && { tags }),
    })
  }

  async #give(
    accountId: Account['id'],
    seconds: number,
    of: Pick<Session, 'user' | 'role' | 'policy' | 'policyArns' | 'tags'>,
  ): Promise<Credentials> {
    const { world } = this.#entities.parts
    const issued = world.now()
    const expires = issued + seconds * 1000
    const accessKeyId = `MSIA${randomWord(world, upperCase, 16)}`
    const secret = randomWord(world, alphanumeric, 40)
    const token = await this.#tokens.seal({ ...of, accessKeyId, secret, accountId, issued, expires })
    return { accessKeyId, secret, token, expires }
  }
}
