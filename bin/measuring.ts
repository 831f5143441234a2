import { type Measured, MetricsServer, type Readiness } from '#gateway/metrics-server.ts'
import type { Config } from '#src/config/load.ts'
import { catalogue, definitions } from '#src/telemetry/catalogue.ts'
import { exposition, type ProcessReadings } from '#src/telemetry/exposition.ts'
import type { Log } from '#src/telemetry/log.ts'
import type { Reading } from '#src/telemetry/metrics.ts'

/** What a process that serves tells when it is asked. */
export interface Measurement {
  readonly readings: readonly Reading[]
  readonly problems: readonly string[]
}

/** A process that serves, by its number among those of the node; undefined: it did not answer in time, or is not there. */
export interface WorkerMeasurement {
  readonly worker: string
  readonly measurement: Measurement | undefined
}

const stateOf = (isUp: boolean, isReady: boolean): readonly Reading[] => [
  { name: catalogue.workerUp.name, labels: [], value: Number(isUp) },
  { name: catalogue.isReady.name, labels: [], value: Number(isReady) },
]

/** `own`: of a process that tells for others, and serves nothing itself. */
export function measuredOf(
  region: string,
  ask: () => Promise<readonly WorkerMeasurement[]>,
  own?: () => Promise<readonly Reading[]>,
): Measured {
  return {
    async metrics() {
      const [workers, primary] = await Promise.all([ask(), own?.()])
      const told: ProcessReadings[] = workers.map(({ worker, measurement }) => {
        const isReady = measurement?.problems.length === 0
        return {
          worker,
          readings: [...stateOf(measurement !== undefined, isReady), ...(measurement?.readings ?? [])],
        }
      })
      if (primary !== undefined) told.push({ worker: 'primary', readings: primary })
      return exposition(definitions, region, told)
    },
    async readiness() {
      const workers = await ask()
      const isReady = workers.some(({ measurement }) => measurement?.problems.length === 0)
      const problems = workers.flatMap(({ worker, measurement }) =>
        (measurement?.problems ?? ['it does not answer']).map((problem) => `${worker}: ${problem}`),
      )
      return { isReady, problems } satisfies Readiness
    },
  }
}

/** Undefined: nobody wants to know. */
export async function tellMeasurements(
  { metricsPort, metricsHost }: Config,
  log: Log,
  measured: Measured,
): Promise<MetricsServer | undefined> {
  if (metricsPort === undefined) return undefined
  const server = new MetricsServer(measured)
  const { address, port } = await server.listen(metricsHost, metricsPort)
  log.info('metrics are told', { address, port })
  return server
}
