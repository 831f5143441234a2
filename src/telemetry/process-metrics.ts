import { readdir } from 'node:fs/promises'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { catalogue } from './catalogue.ts'
import type { Metrics, Sample } from './metrics.ts'

/** Delays are told of the time since the look before, but not of less than this, in milliseconds. */
const windowMs = 10_000
const resolutionMs = 20
const percentiles = [50, 99, 100] as const

const one = (value: number): readonly Sample[] => [{ labels: [], value }]

/** Delays of the event loop beyond what a timer is late anyhow; several may ask, and see the same window. */
class LoopDelays {
  readonly #histogram = monitorEventLoopDelay({ resolution: resolutionMs })
  #since = Number.NEGATIVE_INFINITY
  #told: readonly Sample[] = []

  constructor() {
    this.#histogram.enable()
  }

  read(): readonly Sample[] {
    const now = performance.now()
    if (now - this.#since < windowMs) return this.#told
    this.#since = now
    // What is measured is the time between two looks of the timer.
    const late = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e9 - resolutionMs / 1e3)
    this.#told = percentiles.map((percent) => ({
      labels: [String(percent)],
      value: this.#histogram.count === 0 ? 0 : late(this.#histogram.percentile(percent)),
    }))
    this.#histogram.reset()
    return this.#told
  }
}

/** What every process tells of itself. */
export function measureProcess(metrics: Metrics, version: string): void {
  const delays = new LoopDelays()
  metrics.collect(catalogue.loopDelay, () => delays.read())
  metrics.collect(catalogue.loopUse, () => one(performance.eventLoopUtilization().active / 1e3))
  metrics.collect(catalogue.heap, () => one(process.memoryUsage().heapUsed))
  metrics.collect(catalogue.external, () => one(process.memoryUsage().external))
  metrics.collect(catalogue.cpu, () => {
    const { user, system } = process.cpuUsage()
    return one((user + system) / 1e6)
  })
  metrics.collect(catalogue.resident, () => one(process.memoryUsage.rss()))
  metrics.collect(catalogue.started, () => one(performance.timeOrigin / 1e3))
  metrics.collect(catalogue.files, async () => one((await readdir('/proc/self/fd')).length))
  metrics.gauge(catalogue.build).of(version, process.version).set(1)
}
