import { defineCommand } from 'citty'
import { type NodeRecord, readLead, readNodes, readVolumes, removeNode } from '#src/metadata/node-records.ts'
import { openStore } from '#src/open/store.ts'
import type { Store } from '#src/store/store.ts'
import { realWorld } from '#src/world.ts'
import { configOfUsed, flagsOf, metadataSettings } from './settings.ts'

const shared = {
  ...flagsOf(metadataSettings),
  json: { type: 'boolean', description: 'print JSON' },
} as const

type Shared = Readonly<Record<string, unknown>>

/** A node that gave no sign of life for so long may be removed, in milliseconds. */
const aliveMilliseconds = 30_000

interface Row {
  readonly node: string
  readonly peer: string
  /** Milliseconds since its last sign of life, by this machine's clock. */
  readonly silent: number
  readonly hasLeft: boolean
  readonly leads: boolean
  readonly isHere: boolean
  readonly volumes: readonly string[]
}

async function withStore(args: Shared, body: (store: Store, here: string) => Promise<void>): Promise<void> {
  const { store, node } = await openStore(configOfUsed(metadataSettings, args), realWorld)
  try {
    if (node === undefined) throw new Error('embedded metadata has one node: this one')
    await body(store, node.id)
  } finally {
    await store.close()
  }
}

async function readRows(store: Store, here: string): Promise<readonly Row[]> {
  return await store.snapshot(async (snapshot) => {
    const [nodes, volumes, lead] = [await readNodes(snapshot), await readVolumes(snapshot), await readLead(snapshot)]
    const owned = (id: string) => [...volumes].filter(([, owner]) => owner === id).map(([volume]) => volume)
    return [...nodes].map(([node, { peer, at, hasLeft = false }]: [string, NodeRecord]) => ({
      ...{ node, peer, hasLeft, silent: realWorld.now() - at },
      ...{ leads: lead?.node === node, isHere: node === here, volumes: owned(node) },
    }))
  })
}

function print(rows: readonly Row[], isJson: unknown): void {
  if (isJson === true) {
    process.stdout.write(`${JSON.stringify(rows, undefined, 2)}\n`)
    return
  }
  for (const { node, peer, silent, hasLeft, leads, isHere, volumes } of rows) {
    const state = hasLeft ? 'stopped' : `seen ${Math.round(silent / 1000)} s ago`
    const notes = [leads ? 'leads' : [], isHere ? 'here' : []].flat().join(',')
    process.stdout.write(`${[node, peer, state, `${volumes.length} volumes`, notes].join('\t')}\n`)
  }
}

const list = defineCommand({
  meta: { name: 'list', description: 'Show the nodes that share the metadata of this one' },
  args: shared,
  run: ({ args }) => withStore(args, async (store, here) => print(await readRows(store, here), args.json)),
})

const remove = defineCommand({
  meta: { name: 'remove', description: 'Remove a node that is gone for good: its volumes are nobody’s then' },
  args: {
    ...shared,
    node: { type: 'string', description: 'its id, as `list` shows it', required: true, valueHint: 'id' },
    force: { type: 'boolean', description: 'even if it was alive a moment ago' },
  },
  run: ({ args }) =>
    withStore(args, async (store, here) => {
      const node = String(args.node)
      const row = (await readRows(store, here)).find((each) => each.node === node)
      if (row === undefined) throw new Error(`there is no node ${node}`)
      if (row.isHere) throw new Error('a node is removed from another one')
      if (!row.hasLeft && row.silent < aliveMilliseconds && args.force !== true) {
        throw new Error(`the node ${node} lives: stop it first, or give --force`)
      }
      await store.transact((transaction) => removeNode(transaction, node))
      print(await readRows(store, here), args.json)
    }),
})

export const nodesCommand = defineCommand({
  meta: { name: 'nodes', description: 'Nodes of this region that share its metadata' },
  subCommands: { list, remove },
})
