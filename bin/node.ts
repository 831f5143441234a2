import { type Authenticate, authenticator } from '#gateway/auth/authenticate.ts'
import { Certificates } from '#gateway/certificates.ts'
import { allOperations } from '#gateway/operations/index.ts'
import { pipeline } from '#gateway/pipeline.ts'
import { queryApis } from '#gateway/query/apis.ts'
import { queryFront } from '#gateway/query/front.ts'
import { defaultLimits, GatewayServer, type ServerLimits } from '#gateway/server.ts'
import { TlsFront } from '#gateway/tls-front.ts'
import { BadSettings, type Config } from '#src/config/load.ts'
import { openTracing, tracedLog } from '#src/open/tracing.ts'
import { type OpenNode, openNode } from '#src/open.ts'
import { openAuditLog } from '#src/telemetry/audit-log.ts'
import type { Log } from '#src/telemetry/log.ts'
import { Metrics } from '#src/telemetry/metrics.ts'
import { measureProcess } from '#src/telemetry/process-metrics.ts'
import type { Tracer } from '#src/telemetry/tracer.ts'
import { realWorld } from '#src/world.ts'
import { consoleOf } from './console.ts'
import { openFly } from './fly.ts'
import type { Measurement } from './measuring.ts'
import { peeringOf } from './peering.ts'
import { Replicating } from './replicating.ts'
import { readVersion } from './version.ts'

/** One process that serves: the store and its gateway. */
export interface ServingNode {
  readonly port: number
  /** Where flyctl is answered; undefined: nowhere. */
  readonly flyOrigin: string | undefined
  readonly node: OpenNode
  measure(): Promise<Measurement>
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

function tlsFrontOf(config: Config, server: GatewayServer, log: Log): TlsFront | undefined {
  const { tlsPort, tlsCertificates } = config
  if (tlsPort === undefined && tlsCertificates === undefined) return undefined
  if (tlsPort === undefined || tlsCertificates === undefined) {
    throw new BadSettings('bad settings: --tls-port and --tls-certificates come together')
  }
  return new TlsFront(server, new Certificates(tlsCertificates, log), limitsOf(config))
}

const tracedAuthenticate = (authenticate: Authenticate, tracer: Tracer | undefined): Authenticate =>
  tracer === undefined ? authenticate : (request) => tracer.inSpan('authenticate', {}, () => authenticate(request))

export async function startNode(config: Config, bareLog: Log, isFirst: boolean): Promise<ServingNode> {
  const metrics = new Metrics()
  const tracing = openTracing({ config, world: realWorld, log: bareLog, metrics, version: readVersion() })
  const log = tracing === undefined ? bareLog : tracedLog(bareLog, tracing.tracer)
  try {
    const node = await startTraced({ config, log, isFirst, metrics, tracer: tracing?.tracer })
    if (tracing === undefined) return node
    return { ...node, stop: () => node.stop().finally(tracing.close) }
  } catch (error) {
    await tracing?.close()
    throw error
  }
}

interface Starting {
  readonly config: Config
  readonly log: Log
  readonly isFirst: boolean
  readonly metrics: Metrics
  readonly tracer: Tracer | undefined
}

async function startTraced({ config, log, isFirst, metrics, tracer }: Starting): Promise<ServingNode> {
  const world = realWorld
  const peering = peeringOf(config, world, tracer)
  const connect = peering === undefined ? {} : { connect: peering.connect }
  measureProcess(metrics, readVersion())
  const replicating = new Replicating({ log, world, metrics, tracer, redis: config.redis })
  const { caughtUp } = replicating
  const node = await openNode({ config, world, log, isFirst, broken: giveUp, caughtUp, metrics, tracer, ...connect })
  const { services, access, region } = node
  const cluster = region === undefined ? undefined : peering?.front(region, services)
  const authenticate = tracedAuthenticate(
    authenticator({
      identity: services.identity,
      world,
      options: { presignedSecondsMax: config.presignedDaysMax * 86_400 },
    }),
    tracer,
  )
  const query = queryFront({ services, authenticate, access, apis: queryApis })
  const s3 = pipeline({
    query,
    services,
    authenticate,
    access,
    operations: allOperations(),
    customerKeysNeedTls: config.customerKeysNeedTls,
    domains: services.domains,
    ...(config.acmeChallenges !== undefined && { challenges: config.acmeChallenges }),
    ...(cluster !== undefined && { cluster }),
  })
  const server = new GatewayServer({
    route: config.console ? consoleOf(node, { config, log, authenticate, cluster }).before(s3) : s3,
    domains: config.domains,
    websiteDomains: config.websiteDomains,
    contentDomains: config.contentDomains,
    log,
    logsAccess: config.accessLog,
    ...(config.auditLog !== undefined && {
      audit: openAuditLog(config.auditLog, config.region, (error) =>
        log.error('the audit log cannot be written', { error }),
      ),
    }),
    logs: services.logs,
    meter: node.meter,
    limits: limitsOf(config),
    trustedProxies: config.trustedProxies,
    metrics,
    tracer,
    ...(region !== undefined && { servedFrom: region.members.self.region }),
  })
  const secure = tlsFrontOf(config, server, log)
  const peers = region === undefined ? undefined : peering?.server(node, region, server, log)
  const fly = openFly(config, world, log, node)
  try {
    await peers?.listen(config.peerHost ?? config.host, config.peerPort)
    const address = await server.listen(config.host, config.port)
    if (secure !== undefined) {
      const { port } = await secure.listen(config.host, config.tlsPort ?? 0)
      log.info('TLS is spoken', { port })
    }
    await fly?.listen(address.port)
    if (isFirst) {
      node.startBackground((signal) => replicating.run(node, signal))
      fly?.start()
    }
    return {
      port: address.port,
      flyOrigin: fly?.places.local,
      node,
      measure: async () => {
        const [readings, problems] = await Promise.all([metrics.read(), node.problems()])
        return { readings, problems: server.isDraining ? ['it is stopping', ...problems] : problems }
      },
      stop: async () => {
        const until = world.monotonic() + config.drainSeconds * 1_000
        await fly?.stop()
        await Promise.all([server.close(), secure?.close()])
        // Only now: what is answered there may need others to ask here, such as for a copy of what is written.
        await peers?.close(Math.max(0, until - world.monotonic()))
        await node.close()
        peering?.close()
      },
    }
  } catch (error) {
    await fly?.stop()
    await peers?.close(0)
    await node.close()
    peering?.close()
    throw error
  }
}
