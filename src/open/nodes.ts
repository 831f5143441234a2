import type { Volumes } from '#src/blobs/volumes.ts'
import { CellNodes } from '#src/cluster/cell-nodes.ts'
import { NodeBlobs } from '#src/cluster/node-blobs.ts'
import type { Region } from '#src/cluster/region.ts'
import { DataDirectoryError } from '#src/data-directory.ts'
import { claimVolumes, guardVolumes, readNodes } from '#src/metadata/node-records.ts'
import type { Store } from '#src/store/store.ts'
import type { Log } from '#src/telemetry/log.ts'
import type { World } from '#src/world.ts'
import type { CellNode } from './store.ts'

export interface OpenNodesOptions {
  /** Neither recorded nor guarded. */
  readonly bare: Store
  /** As services have it. */
  readonly store: Store
  readonly node: CellNode
  readonly volumes: Volumes
  readonly region: Region
  readonly world: World
  readonly log: Log
  readonly broken: () => void
}

/** What a process has because several nodes may share its cell. */
export interface OpenNodes {
  readonly nodes: CellNodes
  /** Guards the volumes. */
  readonly store: Store
  /** Reads those of other nodes too. */
  readonly blobs: NodeBlobs
}

/** Takes the node's volumes for it. Throws DataDirectoryError where another node has one of them. */
export async function openNodes(options: OpenNodesOptions): Promise<OpenNodes> {
  const { bare, store, node, volumes, region, world, log, broken } = options
  const own = (await volumes.maintenance.volumes()).map(({ id, path }) => ({ id, path }))
  const taken = await bare.transact((transaction) =>
    claimVolumes(
      transaction,
      node.id,
      own.map(({ id }) => id),
    ),
  )
  for (const { volume, owner } of taken) {
    const path = own.find(({ id }) => id === volume)?.path
    const peer = (await bare.snapshot(readNodes)).get(owner)?.peer ?? ''
    throw new DataDirectoryError(
      `the volume in ${path} belongs to the node ${owner} (${peer}): if its disk was moved here, \`meridian nodes remove\` that one`,
    )
  }
  const nodes = new CellNodes({
    store: bare,
    world,
    node: node.id,
    failed: (what, error) => log.warn(what, { error }),
    removed: () => {
      log.error('this node was removed from its region: it gives up', { node: node.id })
      broken()
    },
  })
  await nodes.refresh()
  const { transport } = region
  return {
    nodes,
    store: guardVolumes(store, node.id),
    blobs: new NodeBlobs({ own: volumes, nodes, transport, world }),
  }
}
