import type { Person } from '#src/model/acl.ts'
import type { Identity } from '#src/service/services.ts'

/** Looks up whom the entries of a page belong to: mostly one account, asked for once. */
export async function findOwners(
  identity: Pick<Identity, 'findAccount'>,
  ids: Iterable<string>,
): Promise<ReadonlyMap<string, Person>> {
  const owners = new Map<string, Person>()
  for (const id of new Set(ids)) owners.set(id, (await identity.findAccount(id)) ?? { id, displayName: '' })
  return owners
}
