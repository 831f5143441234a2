import type { Resource } from '#gateway/console/resource.ts'

/** The regions of the cluster, how far away they are, and how far behind this one is with each. */
export const regions: Resource = {
  method: 'GET',
  path: 'regions',
  audience: 'administrator',
  run: async (_asked, { region, behind }) => {
    if (region === undefined) return { regions: [] }
    const { members, health } = region
    const { membership, self } = members
    const lags = await behind?.()
    return {
      epoch: membership.epoch,
      regions: membership.members.map(({ region: code, cell, geography, state, peer }) => {
        const isHere = cell === self.cell
        const { isUp, roundTrip, ahead } = isHere
          ? { isUp: true, roundTrip: undefined, ahead: undefined }
          : health.state(cell)
        return {
          region: code,
          cell,
          geography,
          state,
          peer,
          isHere,
          isRoot: cell === membership.root,
          isUp: isUp && state !== 'removed',
          roundTrip,
          clockAhead: ahead,
          behind: isHere ? undefined : lags?.get(code),
        }
      }),
    }
  },
}
