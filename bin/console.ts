import type { Authenticate } from '#gateway/auth/authenticate.ts'
import type { ClusterFront } from '#gateway/cluster-front.ts'
import { Console } from '#gateway/console/console.ts'
import type { ShownSetting } from '#gateway/console/resource.ts'
import { nextRequest } from '#src/cluster/feed-following.ts'
import { askFeedLag, type Lag } from '#src/cluster/feed-lag.ts'
import { within } from '#src/cluster/patience.ts'
import { type Config, describeSetting, settingNames } from '#src/config/load.ts'
import { environmentOnly } from '#src/config/settings.ts'
import type { OpenNode } from '#src/open.ts'
import { Conflicts } from '#src/service/conflicts.ts'
import { DeadLetters } from '#src/service/dead-letters.ts'
import { OutboxJobs } from '#src/service/outbox-jobs.ts'
import { Placements } from '#src/service/placements.ts'
import { WorkList } from '#src/service/work-list.ts'
import type { Log } from '#src/telemetry/log.ts'
import { readVersion } from './version.ts'

/** A region that does not say in time how far behind this one is with it is left out, in milliseconds. */
const patienceMs = 1_000

/** A URL may hold a password. */
const withoutPassword = (text: string): string => text.replace(/^([a-z]+:\/\/)[^@/]*@/, '$1…@')

/** What the settings are, but those that are secrets. */
export function shownSettings(config: Config): readonly ShownSetting[] {
  return settingNames
    .filter((name) => !environmentOnly.has(name))
    .map((name) => {
      const { description, fallback } = describeSetting(name)
      const value = config[name]
      const text = value === undefined ? '' : Array.isArray(value) ? value.join(',') : String(value)
      return { name, value: withoutPassword(text), isDefault: value === undefined || text === fallback, description }
    })
}

const behindOf =
  ({ foundation, region, target }: OpenNode) =>
  async (): Promise<ReadonlyMap<string, Lag>> => {
    if (region === undefined || target === undefined) return new Map()
    const { members, transport } = region
    const asked = members.peers.map(async (peer) => {
      const lag = await within(foundation.world, patienceMs, async (signal) => {
        const request = await nextRequest(target, peer, { bytes: 0, wait: 0 })
        return await askFeedLag(transport, peer.cell, request, signal)
      }).catch(() => undefined)
      return lag === undefined ? [] : [[peer.region, lag] as const]
    })
    return new Map((await Promise.all(asked)).flat())
  }

export interface ConsoleOptions {
  readonly config: Config
  readonly log: Log
  readonly authenticate: Authenticate
  readonly cluster?: ClusterFront | undefined
}

/** The web console of a node. */
export function consoleOf(node: OpenNode, { config, log, authenticate, cluster }: ConsoleOptions): Console {
  const { services, access, foundation, region } = node
  const { store, world } = foundation
  return new Console({
    services,
    access,
    authenticate,
    log,
    placements: new Placements({ store, objects: services.objects }),
    conflicts: new Conflicts(foundation),
    work: new WorkList(store),
    jobs: new OutboxJobs({ store, world }),
    letters: new DeadLetters({ store, world }),
    settings: shownSettings(config),
    version: readVersion(),
    ...(cluster !== undefined && { checkFresh: (caller) => cluster.checkFresh(caller) }),
    ...(region !== undefined && { region, behind: behindOf(node) }),
  })
}
