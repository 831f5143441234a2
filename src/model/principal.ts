import type { Policy } from './policy-document.ts'
import type { Tags } from './version.ts'

/**
 * Who acts within an account, where it is not the account itself with a key of its own.
 *
 * - `user`: of the account, by a key of theirs; may do what their policies allow.
 * - `role`: a session of a role of the account.
 * - `member`: an account that shares its IAM names with others of its tenant; it may do what it owns, and what its policies allow.
 * - `root`: the account, by temporary credentials.
 */
export interface Principal {
  readonly kind: 'user' | 'role' | 'member' | 'root'
  /** Of the user, or of the session. */
  readonly arn: string
  /** The role's own, of a session of it. */
  readonly roleArn?: string
  /** As `aws:userid` and GetCallerIdentity tell it. */
  readonly id: string
  /** As `aws:username` tells it; sessions of roles have none. */
  readonly name?: string
  /** Of the user or role, and of the session. */
  readonly tags: Tags
  /** Inline, attached, and of the user's groups; together they allow what any of them does. */
  readonly identity: readonly Policy[]
  /** What those allow must be allowed here too, where present. */
  readonly boundary?: Policy
  readonly session?: Policy
  /** Of temporary credentials: when they were given, in milliseconds since the epoch. */
  readonly issued?: number
  /** Whether the bearer of a token is asking, which may not ask for another one. */
  readonly isTemporary: boolean
}

export const isOfAccount = (principal: Principal | undefined): boolean =>
  principal === undefined || principal.kind === 'root' || principal.kind === 'member'
