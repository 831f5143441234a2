import { authenticator } from '#gateway/auth/authenticate.ts'
import { allOperations } from '#gateway/operations/index.ts'
import { pipeline } from '#gateway/pipeline.ts'
import { queryApis } from '#gateway/query/apis.ts'
import { queryFront } from '#gateway/query/front.ts'
import { defaultLimits, GatewayServer, type ServerLimits } from '#gateway/server.ts'
import type { Config } from '#src/config/load.ts'
import { openNode } from '#src/open.ts'
import type { Log } from '#src/telemetry/log.ts'
import { realWorld } from '#src/world.ts'

/** One process that serves: the store and its gateway. */
export interface ServingNode {
  readonly port: number
  /** Answers what is under way, then lets go of all files. */
  stop(): Promise<void>
}

const limitsOf = (config: Config): ServerLimits => ({
  ...defaultLimits,
  headerBytesMax: config.headerBytesMax,
  connectionsMax: config.connectionsMax,
  drainTimeoutMs: config.drainSeconds * 1_000,
  pace: { ...defaultLimits.pace, bytesPerSecondMin: config.bodyRateMin },
})

/** Time for the answers to those who wait for the failed commit, in milliseconds. */
const answersMs = 500

/** By a signal, since leaving with transactions in flight may hang in LMDB. The primary starts another, or the supervisor. */
function giveUp(): void {
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), answersMs)
}

export async function startNode(config: Config, log: Log, isFirst: boolean): Promise<ServingNode> {
  const world = realWorld
  const node = await openNode({ config, world, log, isFirst, broken: giveUp })
  const { services, access } = node
  const authenticate = authenticator({
    identity: services.identity,
    world,
    options: { presignedSecondsMax: config.presignedDaysMax * 86_400 },
  })
  const query = queryFront({ services, authenticate, access, apis: queryApis })
  const server = new GatewayServer({
    route: pipeline({
      query,
      services,
      authenticate,
      access,
      operations: allOperations(),
      customerKeysNeedTls: config.customerKeysNeedTls,
    }),
    domains: config.domains,
    websiteDomains: config.websiteDomains,
    log,
    logsAccess: config.accessLog,
    logs: services.logs,
    limits: limitsOf(config),
  })
  try {
    const address = await server.listen(config.host, config.port)
    if (isFirst) node.startBackground()
    return {
      port: address.port,
      stop: async () => {
        await server.close()
        await node.close()
      },
    }
  } catch (error) {
    await node.close()
    throw error
  }
}
