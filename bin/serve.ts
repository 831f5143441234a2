import { availableParallelism } from 'node:os'
import { defineCommand } from 'citty'
import type { Measured } from '#gateway/metrics-server.ts'
import type { Claim } from '#src/blobs/claim.ts'
import { type Config, settingNames } from '#src/config/load.ts'
import { DataDirectory } from '#src/data-directory.ts'
import { openIdentity } from '#src/open-beside.ts'
import { type Log, openLog } from '#src/telemetry/log.ts'
import { Metrics } from '#src/telemetry/metrics.ts'
import { measureProcess } from '#src/telemetry/process-metrics.ts'
import { realWorld } from '#src/world.ts'
import { prepareCluster } from './cluster.ts'
import { measuredOf, tellMeasurements } from './measuring.ts'
import { startNode } from './node.ts'
import { configOf, flagsOf } from './settings.ts'
import { readVersion } from './version.ts'
import { Workers } from './workers.ts'

/** What serves: one process, or several. */
interface Serving {
  readonly port: number
  readonly flyOrigin: string | undefined
  readonly measured: Measured
  stop(): Promise<void>
  kill(): void
}

/** One terminal signal reaches us up to three times: from the terminal, from npm and from the launcher. */
const sameSignalMs = 1_000

const print = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

/** Makes the administrator's key, or sets the given one; a key that was made is shown here and never again. */
async function firstStart(config: Config, log: Log): Promise<void> {
  const cluster = await prepareCluster(config, realWorld, log)
  // The others have the root's accounts.
  if (cluster?.isRoot === false) return
  const { accessKey, secretKey } = config
  const { identity, store } = await openIdentity(config, realWorld)
  try {
    const given = accessKey === undefined || secretKey === undefined ? undefined : { id: accessKey, secret: secretKey }
    const { key, isNew } = await identity.ensureAdministrator(given)
    if (!isNew || given !== undefined) return
    print("The administrator's key, shown this once:")
    print(`access key ${key.id}`)
    print(`secret key ${key.secret}`)
  } finally {
    await store.close()
  }
}

const urlOf = (host: string, port: number): string => `http://${host.includes(':') ? `[${host}]` : host}:${port}`

async function startServing(config: Config, log: Log, failed: (error: Error) => void): Promise<Serving> {
  const count = config.workers === 0 ? availableParallelism() : config.workers
  if (count > 1) {
    const workers = new Workers(config, count, log, failed)
    try {
      const { port, flyOrigin } = await workers.start()
      const metrics = new Metrics()
      measureProcess(metrics, readVersion())
      const measured = measuredOf(
        config.region,
        () => workers.measure(),
        () => metrics.read(),
      )
      return { port, flyOrigin, measured, stop: () => workers.stop(), kill: () => workers.kill() }
    } catch (error) {
      await workers.stop()
      throw error
    }
  }
  process.on('unhandledRejection', (error) => log.error('a promise was left alone', { error }))
  const node = await startNode(config, log, true)
  const measured = measuredOf(config.region, async () => [{ worker: '0', measurement: await node.measure() }])
  return { port: node.port, flyOrigin: node.flyOrigin, measured, stop: () => node.stop(), kill: () => {} }
}

/** Ends on a signal: the first lets requests finish, a second one does not. */
function stopOnSignals(serving: Serving, claim: Claim, log: Log): void {
  let first: number | undefined
  const stop = (signal: NodeJS.Signals): void => {
    if (first === undefined) {
      first = performance.now()
      log.info('stopping', { signal })
      serving.stop().then(
        () => {
          claim.release()
          log.info('stopped')
          process.exitCode = 0
        },
        (error: unknown) => {
          log.error('stopping failed', { error })
          process.exit(1)
        },
      )
    } else if (performance.now() - first > sameSignalMs) {
      serving.kill()
      process.exit(1)
    }
  }
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, stop)
}

async function serve(config: Config): Promise<void> {
  const log = openLog(config.logLevel)
  const directory = new DataDirectory(config.data)
  directory.prepare()
  const claim = await directory.lock(realWorld)
  try {
    await firstStart(config, log)
    const serving = await startServing(config, log, (error) => {
      log.error('giving up', { error })
      process.exit(1)
    })
    const metrics = await tellMeasurements(config, log, serving.measured).catch(async (error: unknown) => {
      await serving.stop()
      throw error
    })
    const stop = async (): Promise<void> => {
      await serving.stop()
      // To the end: whoever asks while it stops is told so.
      await metrics?.close()
    }
    stopOnSignals({ ...serving, stop }, claim, log)
    if (serving.flyOrigin !== undefined) print(`fly ${serving.flyOrigin}`)
    print(`ready ${urlOf(config.host, serving.port)}`)
  } catch (error) {
    claim.release()
    throw error
  }
}

export const serveCommand = defineCommand({
  meta: { name: 'serve', description: 'Serve S3 from a data directory' },
  args: flagsOf(settingNames),
  run: ({ args }) => serve(configOf(settingNames, args)),
})
