import { leaveBucket } from '#src/cluster/bucket-deletion.ts'
import { type JoinRequest, readStanding, type Standing } from '#src/cluster/founding.ts'
import { Members } from '#src/cluster/members.ts'
import { Region } from '#src/cluster/region.ts'
import type { Transport } from '#src/cluster/transport.ts'
import type { Config } from '#src/config/load.ts'
import { beginSharing } from '#src/metadata/blob-records.ts'
import { ClusterRecords } from '#src/metadata/cluster-records.ts'
import { signalFeed } from '#src/metadata/feed-signal.ts'
import { governNamespace } from '#src/metadata/namespace-feed.ts'
import type { Store } from '#src/store/store.ts'
import type { Log } from '#src/telemetry/log.ts'
import type { World } from '#src/world.ts'

interface Clustered {
  /** Records or refuses changes of the namespace; the bare store where there is no cluster. */
  readonly store: Store
  readonly standing: Standing | undefined
}

/** The store as everything but the follower has it: the root's records what changes the namespace, others' refuse it. */
export async function clusteredStore(bare: Store, records = new ClusterRecords()): Promise<Clustered> {
  const standing = await readStanding(bare, records)
  if (standing === undefined) return { store: bare, standing }
  return { store: governNamespace(signalFeed(bare), standing.self.cell), standing }
}

export interface OpenRegionOptions {
  readonly config: Config
  readonly world: World
  readonly log: Log
  readonly connect?: (members: Members) => Transport
  readonly caughtUp?: (signal: AbortSignal) => Promise<void>
}

/** The store of a process, and its view of the other cells where there are any. */
export async function openRegion(
  bare: Store,
  { config, world, log, connect, caughtUp }: OpenRegionOptions,
): Promise<{ readonly store: Store; readonly region?: Region }> {
  const records = new ClusterRecords()
  const { store, standing } = await clusteredStore(bare, records)
  if (standing === undefined) return { store }
  if (connect === undefined) throw new Error('this data directory is a cell of a cluster: its secret is needed')
  const members = new Members({ store: bare, records, ...standing })
  const { region: code, cell } = members.self
  await bare.transact((transaction) => beginSharing(transaction, { region: code, cell }))
  const region = new Region({
    store: bare,
    recording: store,
    world,
    members,
    transport: connect(members),
    applying: leaveBucket,
    staleness: config.authStaleness * 3_600_000,
    ...(caughtUp !== undefined && { caughtUp }),
    failed: (what, error) => log.warn(what, { error }),
  })
  await region.replica.look()
  return { store, region }
}

/** Where other nodes of its cell reach this one. */
export const nodeOriginOf = (config: Config): string =>
  config.nodeUrl ?? config.peerUrl ?? originOf(config.peerHost ?? config.host, config.peerPort)

/** What this node's settings say of where it is. */
export const locationOf = (config: Config, incarnation: string): JoinRequest => ({
  region: config.region,
  geography: config.geography,
  peer: config.peerUrl ?? originOf(config.peerHost ?? config.host, config.peerPort),
  incarnation,
})

/** An IPv6 address stands in brackets. */
const originOf = (host: string, port: number): string => `http://${host.includes(':') ? `[${host}]` : host}:${port}`
