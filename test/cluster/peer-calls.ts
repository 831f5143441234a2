import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { after } from 'node:test'
import { PeerClient } from '#gateway/peer/client.ts'
import { ClusterSecret } from '#gateway/peer/sealing.ts'
import { PeerServer, type PeerServerParts } from '#gateway/peer/server.ts'
import { Members } from '#src/cluster/members.ts'
import type { Method } from '#src/cluster/transport.ts'
import { ClusterRecords } from '#src/metadata/cluster-records.ts'
import type { Member, Membership } from '#src/model/region.ts'
import { MemoryStore } from '#src/store/memory/memory-store.ts'
import { openLog } from '#src/telemetry/log.ts'
import { realWorld } from '#src/world.ts'

export const never = new AbortController().signal
export const secret = new ClusterSecret('a secret of the test')
/** What ends when the tests do, the last first. */
export const closing: (() => Promise<void> | void)[] = []
after(async () => {
  for (const close of closing.reverse()) await close()
})

export const member = (cell: number, change: Partial<Member> = {}): Member => ({
  cell,
  region: `r${cell}`,
  geography: '',
  incarnation: String(cell).repeat(32),
  peer: 'http://127.0.0.1:9',
  state: 'active',
  ...change,
})

export function membersOf(cell: number, membership: Membership): Members {
  const self = membership.members.find((each) => each.cell === cell) ?? member(cell)
  return new Members({ store: new MemoryStore({ world: realWorld }), records: new ClusterRecords(), self, membership })
}

/** Cell 1, which answers, and calls of cell 0. */
export async function serve(
  methods: readonly Method[],
  change: (membership: Membership) => Membership = (same) => same,
  {
    at,
    passedOn = (_, response) => response.writeHead(204).end(),
  }: { readonly at?: Members; readonly passedOn?: PeerServerParts['serve'] } = {},
) {
  const seen: Membership = { epoch: 1, root: 0, members: [member(0), member(1)] }
  const server = new PeerServer({
    secret,
    world: realWorld,
    log: openLog('silent'),
    methods,
    members: at ?? membersOf(1, change(seen)),
    serve: passedOn,
  })
  const { port, address } = await server.listen('::1', 0)
  closing.push(() => server.close(0))
  const peer = `http://[${address}]:${port}`
  const membersAt = (origin: string): Members =>
    membersOf(0, { ...seen, members: [member(0), member(1, { peer: origin })] })
  const members = membersAt(peer)
  const open = (by = secret, known = members): PeerClient => {
    const client = new PeerClient({ secret: by, members: known, world: realWorld })
    closing.push(() => client.close())
    return client
  }
  return { client: open(), open, peer, server, members, membersAt }
}

export const echo: Method = {
  name: 'echo',
  answer: async (request, { cell, region }) => Buffer.concat([request, Buffer.from(`${cell}${region}`)]),
}

/** A way between a caller and a peer; `back` has what the peer says. */
export async function relay(peer: string, back: (bytes: Buffer, near: Socket) => void) {
  const { hostname, port } = new URL(peer)
  const sockets = new Set<Socket>()
  const callers: Socket[] = []
  const server = createServer((near) => {
    callers.push(near)
    const far = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) })
    near.pipe(far)
    far.on('data', (bytes: Buffer) => back(bytes, near))
    for (const socket of [near, far]) {
      sockets.add(socket.on('error', () => {}).on('close', () => near.destroy()))
    }
  }).listen(0, '::1')
  await once(server, 'listening')
  closing.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    origin: `http://[::1]:${(server.address() as AddressInfo).port}`,
    /** How many there were. */
    connections: () => callers.length,
    /** How many there still are. */
    left: () => callers.filter(({ destroyed }) => !destroyed).length,
  }
}
