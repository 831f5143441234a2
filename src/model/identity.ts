/** An account: owns buckets and keys. Its canonical id is what ACLs and Owner elements name. */
export interface Account {
  /** Canonical user id: 1–128 characters of [A-Za-z0-9_-]; 64 hexadecimal ones where Meridian makes it. */
  readonly id: string
  readonly displayName: string
  readonly email: string
  /** May do everything everywhere: the account of the first start. */
  readonly isAdministrator: boolean
}

export interface AccessKey {
  readonly id: string
  readonly secret: string
  readonly accountId: string
  readonly isActive: boolean
  /** Milliseconds since the epoch. */
  readonly created: number
}

/** Who asks. */
export type Caller =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'account'; readonly account: Account; readonly accessKeyId: string }

export const anonymous: Caller = { kind: 'anonymous' }
