import { defineCommand } from 'citty'
import { PeerClient } from '#gateway/peer/client.ts'
import { changeMember, dismiss, onlyIn, readStanding, type Standing } from '#src/cluster/founding.ts'
import { Members } from '#src/cluster/members.ts'
import { Promotion } from '#src/cluster/promotion.ts'
import type { Config, Setting } from '#src/config/load.ts'
import { ClusterRecords } from '#src/metadata/cluster-records.ts'
import { Namespace } from '#src/metadata/namespace.ts'
import { governNamespace } from '#src/metadata/namespace-feed.ts'
import { type Member, type Membership, memberIn, memberOf } from '#src/model/region.ts'
import { openMaintenance } from '#src/open/beside.ts'
import { openStore } from '#src/open/store.ts'
import { lostObjects } from '#src/service/lost-objects.ts'
import type { Store } from '#src/store/store.ts'
import { silentLog } from '#src/telemetry/log.ts'
import { realWorld } from '#src/world.ts'
import { clusterSecretOf } from './cluster.ts'
import { printRegions } from './region-list.ts'
import { configOfUsed, flagsOf, metadataSettings } from './settings.ts'

const json = { json: { type: 'boolean', description: 'print JSON' } } as const
const shared = { ...flagsOf(metadataSettings), ...json } as const
const callingSettings: readonly Setting[] = [...metadataSettings, 'clusterSecretFile', 'clusterSecret']

type Args = Readonly<Record<string, unknown>>

/** Also beside a server that runs on the same directory: it sees the change at once. */
async function withStanding(
  settings: readonly Setting[],
  args: Args,
  body: (standing: Standing, store: Store, config: Config) => Promise<void>,
): Promise<void> {
  const config = configOfUsed(settings, args)
  const { store } = await openStore(config, realWorld)
  try {
    const standing = await readStanding(store, new ClusterRecords())
    if (standing === undefined) throw new Error('this node is alone: it is in no cluster of regions')
    await body(standing, store, config)
  } finally {
    await store.close()
  }
}

const list = defineCommand({
  meta: { name: 'list', description: 'Show the regions of the cluster, as this one knows them, and what goes on' },
  args: shared,
  run: ({ args }) =>
    withStanding(metadataSettings, args, async (standing, store) => printRegions(store, standing, args.json)),
})

/** Named in the message at most. */
const namedMost = 5

/** What is only in a region goes with it: whoever ends it has to say so. `way`: how that is said, or what is to be done instead. */
async function checkBuckets(store: Store, membership: Membership, member: Member, way: string): Promise<void> {
  const buckets = await store.snapshot((snapshot) => new Namespace().buckets(snapshot))
  const only = onlyIn(buckets, membership, member.cell)
  if (only.length === 0) return
  const named = only.slice(0, namedMost).join(', ')
  throw new Error(`${only.length} buckets are in ${member.region} only (${named}): ${way}`)
}

const givesUp = '--lose-buckets gives them up'

const remove = defineCommand({
  meta: {
    name: 'remove',
    description:
      'Let a region leave once all that it has is elsewhere, or end one that is lost; on the root region only',
  },
  args: {
    ...shared,
    region: { type: 'string', description: 'its code', required: true, valueHint: 'code' },
    lost: { type: 'boolean', description: 'it does not come back: what only it has is gone, at once and for good' },
    'lose-buckets': { type: 'boolean', description: 'with --lost: even if some buckets are in that region only' },
  },
  run: ({ args }) =>
    withStanding(metadataSettings, args, async ({ self, membership }, store) => {
      if (membership.root !== self.cell) throw new Error('regions are removed at the root region')
      const member = memberIn(membership, args.region)
      if (member === undefined) throw new Error(`there is no region ${args.region}`)
      if (member.cell === self.cell) {
        throw new Error('the root region cannot be removed: `meridian regions promote` makes another one the root')
      }
      // What it has written must have somewhere to go.
      const way = args.lost === true ? givesUp : 'give them another location, or delete them'
      if (args.lost !== true || args['lose-buckets'] !== true) await checkBuckets(store, membership, member, way)
      const governed = governNamespace(store, self.cell)
      // One that joins has taken no writes.
      const isOver = args.lost === true || member.state === 'joining'
      const after = isOver
        ? await dismiss(governed, new Namespace(), member.cell)
        : await changeMember(governed, member.cell, (each) => ({ ...each, state: 'leaving' }))
      await printRegions(store, { self, membership: after }, args.json)
    }),
})

const promote = defineCommand({
  meta: { name: 'promote', description: 'Make this region the root, where accounts and settings are changed' },
  args: {
    ...flagsOf(callingSettings),
    ...json,
    lost: { type: 'boolean', description: 'the root is lost, and does not come back' },
    'lose-buckets': { type: 'boolean', description: 'with --lost: even if some buckets are in the lost root only' },
    without: {
      type: 'string',
      description: 'with --lost: go on although these regions cannot be asked, which may know more',
      valueHint: 'codes',
    },
  },
  run: ({ args }) =>
    withStanding(callingSettings, args, async (standing, store, config) => {
      const secret = clusterSecretOf(config)
      if (secret === undefined) throw new Error('other regions are asked: --cluster-secret-file is needed')
      const members = new Members({ store, records: new ClusterRecords(), ...standing })
      const root = memberOf(standing.membership, standing.membership.root)
      if (args.lost === true && args['lose-buckets'] !== true && root !== undefined) {
        await checkBuckets(store, standing.membership, root, givesUp)
      }
      const transport = new PeerClient({ secret, members, world: realWorld })
      try {
        const promotion = new Promotion({ store, world: realWorld, members, transport })
        const without = (args.without ?? '').split(',').filter((each) => each !== '')
        const membership = args.lost === true ? await promotion.replace(without) : await promotion.succeed()
        await printRegions(store, { ...standing, membership }, args.json)
      } finally {
        transport.close()
      }
    }),
})

const lost = defineCommand({
  meta: { name: 'lost', description: 'List objects whose bytes went with a region, of those that this region keeps' },
  args: shared,
  async run({ args }) {
    const config = configOfUsed(metadataSettings, args)
    const { foundation, close } = await openMaintenance(config, realWorld, silentLog)
    try {
      const rows = await lostObjects(foundation)
      if (args.json === true) process.stdout.write(`${JSON.stringify(rows, undefined, 2)}\n`)
      else {
        for (const { bucket, key, version, since } of rows) {
          process.stdout.write(`${[bucket, key, version, new Date(since).toISOString()].join('\t')}\n`)
        }
      }
    } finally {
      await close()
    }
  },
})

export const regionsCommand = defineCommand({
  meta: { name: 'regions', description: 'Regions of a cluster' },
  subCommands: { list, remove, promote, lost },
})
