import { defineCommand } from 'citty'
import { changeMember, readStanding, type Standing } from '#src/cluster/founding.ts'
import { ClusterRecords } from '#src/metadata/cluster-records.ts'
import { Namespace } from '#src/metadata/namespace.ts'
import { recordNamespace } from '#src/metadata/namespace-feed.ts'
import { cellsOf, memberIn } from '#src/model/region.ts'
import { openStore } from '#src/open-store.ts'
import type { Store } from '#src/store/store.ts'
import { realWorld } from '#src/world.ts'
import { configOfUsed, flagsOf, metadataSettings } from './settings.ts'

const shared = {
  ...flagsOf(metadataSettings),
  json: { type: 'boolean', description: 'print JSON' },
} as const

type Shared = Readonly<Record<string, unknown>>

/** Also beside a server that runs on the same directory: it sees the change at once. */
async function withStanding(args: Shared, body: (standing: Standing, store: Store) => Promise<void>): Promise<void> {
  const { store } = await openStore(configOfUsed(metadataSettings, args), realWorld)
  try {
    const standing = await readStanding(store, new ClusterRecords())
    if (standing === undefined) throw new Error('this node is alone: it is in no cluster of regions')
    await body(standing, store)
  } finally {
    await store.close()
  }
}

function print({ self, membership }: Standing, isJson: unknown): void {
  const rows = membership.members.map(({ region, cell, state, geography, peer }) => ({
    region,
    cell,
    state,
    geography,
    peer,
    isRoot: cell === membership.root,
    isHere: cell === self.cell,
  }))
  if (isJson === true) {
    process.stdout.write(`${JSON.stringify(rows, undefined, 2)}\n`)
    return
  }
  for (const { region, cell, state, geography, peer, isRoot, isHere } of rows) {
    const notes = [isRoot ? 'root' : [], isHere ? 'here' : []].flat().join(',')
    process.stdout.write(`${[region, cell, state, geography, peer, notes].join('\t')}\n`)
  }
}

const list = defineCommand({
  meta: { name: 'list', description: 'Show the regions of the cluster, as this one knows them' },
  args: shared,
  run: ({ args }) => withStanding(args, async (standing) => print(standing, args.json)),
})

/** Named in the message at most. */
const namedMost = 5

/** Buckets that no other cell has: what is in them goes with the cell. */
async function onlyThere(store: Store, cell: number, { membership }: Standing): Promise<readonly string[]> {
  const buckets = await store.snapshot((snapshot) => new Namespace().buckets(snapshot))
  return buckets
    .filter(({ location }) => cellsOf(location, membership).every((each) => each === cell))
    .map(({ name }) => name)
}

const remove = defineCommand({
  meta: { name: 'remove', description: 'Remove a region that is gone for good; on the root region only' },
  args: {
    ...shared,
    region: { type: 'string', description: 'its code', required: true, valueHint: 'code' },
    'lose-buckets': { type: 'boolean', description: 'even if some buckets are in that region only' },
  },
  run: ({ args }) =>
    withStanding(args, async (standing, store) => {
      const { self, membership } = standing
      if (membership.root !== self.cell) throw new Error('regions are removed at the root region')
      const member = memberIn(membership, args.region)
      if (member === undefined) throw new Error(`there is no region ${args.region}`)
      if (member.cell === self.cell) throw new Error('the root region cannot be removed')
      const lost = await onlyThere(store, member.cell, standing)
      if (lost.length > 0 && args['lose-buckets'] !== true) {
        const named = lost.slice(0, namedMost).join(', ')
        throw new Error(`${lost.length} buckets are in ${args.region} only (${named}): --lose-buckets gives them up`)
      }
      const after = await changeMember(recordNamespace(store), member.cell, (each) => ({ ...each, state: 'removed' }))
      print({ self, membership: after }, args.json)
    }),
})

export const regionsCommand = defineCommand({
  meta: { name: 'regions', description: 'Regions of a cluster' },
  subCommands: { list, remove },
})
