import type { Principal } from './principal.ts'

/** An account: owns buckets and keys. Its canonical id is what ACLs and Owner elements name. */
export interface Account {
  /** Canonical user id: 1–128 characters of [A-Za-z0-9_-]; 64 hexadecimal ones where Meridian makes it. */
  readonly id: string
  readonly displayName: string
  readonly email: string
  /** May do everything everywhere: the account of the first start. */
  readonly isAdministrator: boolean
  /** The tenant that it shares its IAM names with; empty: the one without a name. Absent: it stands alone. */
  readonly tenant?: string
}

/** What stands for the account in the ARNs of its users and roles, and whose names those are. */
export const realmOf = ({ id, tenant }: Pick<Account, 'id' | 'tenant'>): string => tenant ?? id

export interface AccessKey {
  readonly id: string
  readonly secret: string
  readonly accountId: string
  /** The IAM user whose it is, by its name in lower case; absent: the account's own. */
  readonly user?: string
  readonly isActive: boolean
  /** Milliseconds since the epoch. */
  readonly created: number
}

/** Who asks. */
export type Caller =
  | { readonly kind: 'anonymous' }
  | {
      readonly kind: 'account'
      readonly account: Account
      readonly accessKeyId: string
      /** Who acts in the account; absent: the account itself. */
      readonly principal?: Principal
    }

export const anonymous: Caller = { kind: 'anonymous' }
