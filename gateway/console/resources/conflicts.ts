import { bodyText, checkedName, queryText } from '#gateway/console/arguments.ts'
import type { Asked, ConsoleServices, Resource } from '#gateway/console/resource.ts'
import type { Guard } from '#src/model/guard.ts'

const pageMost = 100

/** What was lost when regions wrote one key at once; who may list versions may see it. */
export const listConflicts: Resource = {
  method: 'GET',
  path: 'conflicts',
  audience: 'each',
  run: async (asked, { access, services, conflicts }) => {
    const bucket = queryText(asked, 'bucket')
    const { caller, values, query } = asked
    const guard = await access.authorize({ caller, values, action: 's3:ListBucketVersions', bucket })
    guard(undefined, await services.buckets.get(bucket))
    const [key, id] = [query.get('after-key'), query.get('after-id')]
    const page = await conflicts.list(bucket, {
      prefix: query.get('prefix') ?? '',
      limit: pageMost,
      ...(key !== undefined && id !== undefined && { after: { key, id } }),
    })
    return {
      conflicts: page.conflicts.map(({ key: of, id: which, version, expires }) => ({
        key: of,
        id: which,
        size: version.size,
        etag: version.etag,
        written: version.modified,
        expires,
      })),
      next: page.next,
    }
  },
}

const named = (asked: Asked) => ({
  name: checkedName(bodyText(asked, 'bucket'), bodyText(asked, 'key')),
  id: bodyText(asked, 'id'),
})

async function guardOf(
  { caller, values }: Asked,
  { access }: ConsoleServices,
  name: ReturnType<typeof named>['name'],
  actions: readonly string[],
): Promise<Guard> {
  const guards = await Promise.all(actions.map((action) => access.authorize({ caller, values, action, ...name })))
  return (version, bucket) => {
    for (const guard of guards) guard(version, bucket)
  }
}

/** Makes what was lost the newest version: for who may read it, and write the key. */
export const restoreConflict: Resource = {
  method: 'POST',
  path: 'conflicts/restore',
  audience: 'each',
  run: async (asked, services) => {
    const { name, id } = named(asked)
    const guard = await guardOf(asked, services, name, ['s3:GetObjectVersion', 's3:PutObject'])
    const { versionId } = await services.conflicts.restore({ name, id, guard })
    return { versionId }
  },
}

/** Lets go of what was lost: for who may delete versions. */
export const discardConflict: Resource = {
  method: 'POST',
  path: 'conflicts/discard',
  audience: 'each',
  run: async (asked, services) => {
    const { name, id } = named(asked)
    const guard = await guardOf(asked, services, name, ['s3:DeleteObjectVersion'])
    await services.conflicts.discard({ name, id, guard })
    return {}
  },
}
