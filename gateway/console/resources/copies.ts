import { checkedName, queryText } from '#gateway/console/arguments.ts'
import type { Resource } from '#gateway/console/resource.ts'
import { cellsOf, memberOf } from '#src/model/region.ts'

/** Where the copies of an object's bytes are, as far as this region knows; who may read the object may know. */
export const copies: Resource = {
  method: 'GET',
  path: 'copies',
  audience: 'each',
  run: async (asked, { access, services, placements, region }) => {
    const name = checkedName(queryText(asked, 'bucket'), queryText(asked, 'key'))
    const versionId = asked.query.get('versionId')
    const { caller, values } = asked
    const version = versionId === undefined ? {} : { versionId }
    const action = versionId === undefined ? 's3:GetObject' : 's3:GetObjectVersion'
    const guard = await access.authorize({ caller, values, action, ...name, ...version })
    const { location } = await services.buckets.get(name.bucket)
    const membership = region?.members.membership
    const regionOf = (cell: number): string | undefined => membership && memberOf(membership, cell)?.region
    const placement = await placements.find({ name, guard, ...version })
    return {
      ...placement,
      writtenIn: regionOf(placement.writtenIn),
      keepers: placement.keepers.map(({ cell, blobs }) => ({ region: regionOf(cell), blobs })),
      location,
      here: region?.members.self.region,
      bucketRegions: membership && cellsOf(location, membership).map((cell) => regionOf(cell)),
    }
  },
}
