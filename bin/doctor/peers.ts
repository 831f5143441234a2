import { PeerClient } from '#gateway/peer/client.ts'
import { readRedisState } from '#replicator/redis-state.ts'
import { readStanding } from '#src/cluster/founding.ts'
import { Members } from '#src/cluster/members.ts'
import { PeerHealth } from '#src/cluster/peer-health.ts'
import type { Config } from '#src/config/load.ts'
import { ClusterRecords } from '#src/metadata/cluster-records.ts'
import type { Store } from '#src/store/store.ts'
import { realWorld } from '#src/world.ts'
import { clusterSecretOf } from '../cluster.ts'
import { type Finding, fail, ok, reasonOf, warn } from './finding.ts'

/** Milliseconds. */
const patience = 3_000
/** How far clocks may be apart: from the second on, a node that is ahead takes no writes (C8). */
const apart = { much: 100, tooMuch: 500 }

/** The other regions: whether they answer, and what time they have. */
export async function regionFindings(store: Store, config: Config): Promise<readonly Finding[]> {
  const standing = await readStanding(store, new ClusterRecords())
  if (standing === undefined) return []
  const { self, membership } = standing
  const secret = clusterSecretOf(config)
  const own = ok('region', `${self.region}, cell ${self.cell}${membership.root === self.cell ? ', the root' : ''}`)
  if (secret === undefined) {
    return [own, warn('regions', 'others cannot be asked without the secret', 'give --cluster-secret-file')]
  }
  const members = new Members({ store, records: new ClusterRecords(), ...standing })
  const client = new PeerClient({ secret, members, world: realWorld })
  try {
    const health = new PeerHealth({ world: realWorld, transport: client, members, options: { patience } })
    await health.look(new AbortController().signal)
    return [own, ...members.peers.flatMap(({ cell, region, peer }) => stateFindings(region, peer, health.state(cell)))]
  } finally {
    client.close()
  }
}

function stateFindings(region: string, peer: string, state: ReturnType<PeerHealth['state']>): readonly Finding[] {
  const { isUp, roundTrip = 0, ahead = 0 } = state
  if (!isUp) return [fail('region', `${region} at ${peer} does not answer`, 'start it, or look at the network between')]
  const reached = ok('region', `${region} at ${peer} answers in ${Math.round(roundTrip)} ms`)
  // The answer says no more than half the way.
  const off = Math.max(0, Math.abs(ahead) - roundTrip / 2)
  const says = `that of ${region} is ${Math.round(Math.abs(ahead))} ms ${ahead > 0 ? 'ahead' : 'behind'}`
  const todo = 'set both by NTP: a clock that is ahead takes no writes'
  if (off < apart.much) return [reached, ok('clock', says)]
  return [reached, off < apart.tooMuch ? warn('clock', says, todo) : fail('clock', says, todo)]
}

export async function redisFindings({ redis }: Config): Promise<readonly Finding[]> {
  const about = 'redis'
  if (redis === undefined) return []
  try {
    const { milliseconds, version, evictionPolicy } = await readRedisState(redis, patience)
    const says = `${version}, answers in ${milliseconds.toFixed(1)} ms, ${evictionPolicy}`
    if (evictionPolicy === 'noeviction') return [ok(about, says)]
    return [warn(about, says, 'set maxmemory-policy noeviction: it may forget jobs, which are then done later')]
  } catch (error) {
    const todo = 'start it: jobs of this region wait until it is back, nothing is lost'
    return [fail(about, `${redis.replace(/\/\/[^@/]*@/, '//')}: ${reasonOf(error)}`, todo)]
  }
}
