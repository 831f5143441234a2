import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ClusterSecret } from '#gateway/peer/sealing.ts'
import { PeerServer } from '#gateway/peer/server.ts'
import { admitRegion, dismiss, found, readJoinRequest, writeJoin } from '#src/cluster/founding.ts'
import { Members } from '#src/cluster/members.ts'
import { NamespaceRoot } from '#src/cluster/namespace-root.ts'
import type { Method } from '#src/cluster/transport.ts'
import { loadConfig } from '#src/config/load.ts'
import { DataDirectory, DataDirectoryError } from '#src/data-directory.ts'
import { ClusterRecords } from '#src/metadata/cluster-records.ts'
import { Namespace } from '#src/metadata/namespace.ts'
import { type Membership, memberOf } from '#src/model/region.ts'
import { MemoryStore } from '#src/store/memory/memory-store.ts'
import type { Store } from '#src/store/store.ts'
import { openLog } from '#src/telemetry/log.ts'
import { realWorld } from '#src/world.ts'
import { prepareCluster } from '../../bin/cluster.ts'
import { Command } from '../command/command.ts'
import { freePorts } from '../support/free-ports.ts'
import { clusterSecret, openCluster, untilJoined } from './regions.ts'

/** A root of nothing but its namespace, at which `copying` happens before what it is asked for with every attempt to copy that. */
interface Root {
  readonly store: Store
  readonly members: Members
  copying: (attempt: number) => Promise<void>
  /** Starts a region that joins it. */
  start(): Promise<unknown>
}

const records = new ClusterRecords()

async function openRoot(context: TestContext): Promise<Root> {
  const folder = await mkdtemp(join(tmpdir(), 'meridian-starting-'))
  context.after(() => rm(folder, { recursive: true, force: true }))
  const store = new MemoryStore({ world: realWorld })
  const standing = await found(store, realWorld, { region: 'fra', geography: '', peer: 'http://127.0.0.1:9' })
  const members = new Members({ store, records, ...standing })
  const copies = new NamespaceRoot({ store, world: realWorld, members }).methods()
  let attempts = 0
  const methods = copies.map(
    ({ name, answer }): Method => ({
      name,
      async answer(...asked) {
        await root.copying(++attempts)
        const bytes = answer(...asked)
        if (!(bytes instanceof Promise)) throw new Error(`${name} answers with a stream`)
        return await bytes
      },
    }),
  )
  const server = new PeerServer({
    secret: new ClusterSecret(clusterSecret),
    world: realWorld,
    log: openLog('silent'),
    methods,
    members,
    serve: (_, response) => response.writeHead(204).end(),
    join: async (request) => {
      const answer = await admitRegion(store, new Namespace(), readJoinRequest(request))
      // A node that starts has not been heard of yet by the process that it asks: that sees it with its first call.
      assert.ok(answer.membership.epoch > members.membership.epoch)
      return writeJoin(answer)
    },
  })
  const { port } = await server.listen('127.0.0.1', 0)
  context.after(() => server.close(0))
  const data = join(folder, 'data')
  const config = loadConfig(
    { data, port: '0', region: 'syd', peerPort: '9', join: `http://127.0.0.1:${port}` },
    { MERIDIAN_CLUSTER_SECRET: clusterSecret },
  )
  // Whoever joins is told where the root is.
  await change(store, (membership) => ({
    ...membership,
    members: membership.members.map((each) => ({ ...each, peer: `http://127.0.0.1:${port}` })),
  }))
  new DataDirectory(data).prepare()
  const root: Root = {
    store,
    members,
    copying: async () => {},
    start: () => prepareCluster(config, realWorld, openLog('silent')),
  }
  return root
}

async function change(store: Store, changed: (membership: Membership) => Membership): Promise<void> {
  await store.transact(async (transaction) => {
    const before = await records.membership(transaction)
    if (before !== undefined) records.setMembership(transaction, changed(before))
  })
}

const withoutSyd = ({ members, ...rest }: Membership): Membership => ({
  ...rest,
  members: members.filter(({ region }) => region !== 'syd'),
})

/** As of a root that stops while it answers: it is asked again. */
const broken = new Error('the answer breaks off')

test('C16: a region that is removed while it copies the namespace ends its start, and says why', async (context) => {
  const root = await openRoot(context)
  root.copying = async () => {
    await dismiss(root.store, new Namespace(), 1)
    await root.members.refresh()
    throw broken
  }
  await assert.rejects(
    root.start(),
    (error) => error instanceof DataDirectoryError && /was removed/.test(error.message),
  )
  // Whoever starts several regions at once has to know which one it is.
  await assert.rejects(root.start(), /the cell in \S+starting-\S+ was removed .*empty directory$/)
})

test('C16: a region that the root has forgotten while it copies the namespace ends its start, and says why', async (context) => {
  const root = await openRoot(context)
  root.copying = async () => {
    // As of a root whose store was restored, and changed since.
    await change(root.store, (before) => withoutSyd({ ...before, epoch: before.epoch + 1 }))
    await root.members.refresh()
    throw broken
  }
  await assert.rejects(
    root.start(),
    (error) =>
      error instanceof DataDirectoryError && /not known to the root of its cluster any more/.test(error.message),
  )
})

test('C16: a region that the root has not heard of yet is waited for', async (context) => {
  const root = await openRoot(context)
  const refresh = root.members.refresh.bind(root.members)
  let [reads, copies] = [0, 0]
  // The first looks show the store as it was before the region joined.
  root.members.refresh = async () => {
    reads += 1
    if (reads > 2) await refresh()
  }
  root.copying = async (attempt) => {
    copies = attempt
  }
  assert.deepEqual(await root.start(), { isRoot: false })
  assert.equal(reads, 3)
  assert.equal(copies, 1)
})

test('C25: a region that starts elsewhere, and had not heard of a new root, is told of it by the others', async (context) => {
  const cluster = await openCluster()
  context.after(() => cluster.close())
  const fra = await cluster.start('fra')
  const others = []
  for (const code of ['iad', 'syd', 'sin']) {
    const other = await cluster.start(code)
    await untilJoined(fra, other)
    others.push(other)
  }
  const [iad, syd, sin] = others
  assert.ok(iad !== undefined && syd !== undefined && sin !== undefined)
  const { region } = iad.node.node
  assert.ok(region !== undefined)
  await syd.stop()
  await sin.stop()
  const words = ['regions', 'promote', '--data', join(cluster.folder, 'iad')]
  const { code, errors } = await new Command(words, { MERIDIAN_CLUSTER_SECRET: clusterSecret }).ended
  assert.equal(code, 0, errors)
  const moved = async (code: string): Promise<void> => {
    const peerPort = String(await freePorts(1))
    const started = await cluster.start(code, { peerPort })
    const { members } = started.node.node.region ?? {}
    assert.ok(members !== undefined)
    assert.equal(members.membership.root, region.members.self.cell)
    await region.members.refresh()
    assert.equal(memberOf(region.members.membership, members.self.cell)?.peer, `http://127.0.0.1:${peerPort}`)
  }
  // The root before says that it is the root no more.
  await moved('syd')
  // And then it is not there.
  await fra.stop()
  await moved('sin')
})
