import { ClusterFront } from '#gateway/cluster-front.ts'
import { PeerClient } from '#gateway/peer/client.ts'
import { Forwarder } from '#gateway/peer/forwarding.ts'
import type { ClusterSecret } from '#gateway/peer/sealing.ts'
import { PeerServer } from '#gateway/peer/server.ts'
import type { GatewayServer } from '#gateway/server.ts'
import { admitRegion, readJoinRequest, writeJoin } from '#src/cluster/founding.ts'
import type { Members } from '#src/cluster/members.ts'
import type { Region } from '#src/cluster/region.ts'
import type { Transport } from '#src/cluster/transport.ts'
import type { Config } from '#src/config/load.ts'
import { Fault } from '#src/errors.ts'
import { memberOf } from '#src/model/region.ts'
import type { OpenNode } from '#src/open.ts'
import type { Services } from '#src/service/services.ts'
import type { Log } from '#src/telemetry/log.ts'
import type { Tracer } from '#src/telemetry/tracer.ts'
import type { World } from '#src/world.ts'
import { clusterSecretOf, delaysOf } from './cluster.ts'

/** How a process of a cell asks others and is asked. */
export class Peering {
  readonly #secret: ClusterSecret
  readonly #world: World
  readonly #delays: ReadonlyMap<string, number>
  readonly #tracer: Tracer | undefined
  #client: PeerClient | undefined

  constructor(secret: ClusterSecret, world: World, delays: ReadonlyMap<string, number>, tracer: Tracer | undefined) {
    this.#tracer = tracer
    this.#secret = secret
    this.#world = world
    this.#delays = delays
  }

  readonly connect = (members: Members): Transport => {
    this.#client = new PeerClient({ ...this.#common(members), members })
    return this.#client
  }

  #common(members: Members) {
    const delayOf = (cell: number): number => this.#delays.get(memberOf(members.membership, cell)?.region ?? '') ?? 0
    return { secret: this.#secret, world: this.#world, tracer: this.#tracer, ...(this.#delays.size > 0 && { delayOf }) }
  }

  front(region: Region, { buckets }: Services): ClusterFront {
    const { members, health } = region
    const client = this.#client
    if (client === undefined) throw new Error('a region that is not connected')
    const forwarder = new Forwarder({ ...this.#common(members), client, members, health })
    return new ClusterFront({ region, forwarder, buckets, world: this.#world })
  }

  server(
    { foundation: { store, namespace }, methods }: OpenNode,
    region: Region,
    gateway: GatewayServer,
    log: Log,
  ): PeerServer {
    const { members } = region
    return new PeerServer({
      secret: this.#secret,
      world: this.#world,
      members,
      methods,
      log,
      tracer: this.#tracer,
      serve: (request, response, origin) => gateway.serveForwarded(request, response, origin),
      join: async (request) => {
        if (!members.isRoot) throw new Fault('InvalidRequest', { message: 'Regions join at the root only.' })
        return writeJoin(await admitRegion(store, namespace, readJoinRequest(request)))
      },
    })
  }

  close(): void {
    this.#client?.close()
  }
}

/** Undefined: this node is alone. */
export function peeringOf(config: Config, world: World, tracer?: Tracer): Peering | undefined {
  const secret = clusterSecretOf(config)
  return secret === undefined ? undefined : new Peering(secret, world, delaysOf(config), tracer)
}
