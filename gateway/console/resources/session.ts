import type { Resource } from '#gateway/console/resource.ts'
import { isAdministrator } from '#src/service/access.ts'

/** Whose key it is, and where they are. */
export const session: Resource = {
  method: 'GET',
  path: 'session',
  audience: 'each',
  run: async ({ caller }, { version, region }) => {
    const { account, principal, accessKeyId } = caller
    const members = region?.members
    return {
      version,
      accessKeyId,
      account: { id: account.id, name: account.displayName, email: account.email },
      // Temporary credentials of the account are the account.
      user: principal === undefined || principal.kind === 'root' ? undefined : (principal.name ?? principal.arn),
      isAdministrator: isAdministrator(caller),
      region: members?.self.region,
      regions:
        members?.membership.members
          .filter(({ state }) => state !== 'removed')
          .map(({ region: code, geography }) => ({ region: code, geography })) ?? [],
    }
  },
}
