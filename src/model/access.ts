/** Canned and explicit grants, of a bucket or an object. */
export interface Acl {
  readonly owner: string
  readonly grants: readonly Grant[]
}

export interface Grant {
  readonly grantee: Grantee
  readonly permission: Permission
}

export type Grantee =
  | { readonly kind: 'account'; readonly id: string; readonly displayName: string }
  | { readonly kind: 'group'; readonly uri: string }

export type Permission = 'FULL_CONTROL' | 'READ' | 'READ_ACP' | 'WRITE' | 'WRITE_ACP'

export const groups = {
  allUsers: 'http://acs.amazonaws.com/groups/global/AllUsers',
  authenticatedUsers: 'http://acs.amazonaws.com/groups/global/AuthenticatedUsers',
  logDelivery: 'http://acs.amazonaws.com/groups/s3/LogDelivery',
} as const
