import { hostname } from 'node:os'
import type { Blobs } from '#src/blobs/blobs.ts'
import type { Config } from '#src/config/load.ts'
import { Fault } from '#src/errors.ts'
import { observedStore } from '#src/store/observed-store.ts'
import { foreseen } from '#src/store/passing.ts'
import type { Store } from '#src/store/store.ts'
import { catalogue } from '#src/telemetry/catalogue.ts'
import type { Log, LogFields } from '#src/telemetry/log.ts'
import type { Metrics } from '#src/telemetry/metrics.ts'
import type { Span } from '#src/telemetry/span.ts'
import { SpanExporter } from '#src/telemetry/span-exporter.ts'
import { Tracer } from '#src/telemetry/tracer.ts'
import type { World } from '#src/world.ts'

/** Faults that say that something is wrong here, and not with what was asked for. */
const failures: ReadonlySet<string> = new Set(['InternalError', 'ServiceUnavailable', 'SlowDown'])

export interface Tracing {
  readonly tracer: Tracer
  /** Sends what waits, but not for long. */
  close(): Promise<void>
}

export interface TracingOptions {
  readonly config: Config
  readonly world: World
  readonly log: Log
  readonly metrics: Metrics
  /** Of the program. */
  readonly version: string
}

/** Undefined: nobody wants to know, and nothing is paid for it. */
export function openTracing({ config, world, log, metrics, version }: TracingOptions): Tracing | undefined {
  const { traceEndpoint: endpoint, traceHeaders: headers, traceRatio: ratio, traceService, region } = config
  const dropped = metrics.counter(catalogue.spansDropped).of()
  const exported = metrics.counter(catalogue.spansExported).of()
  if (endpoint === undefined || ratio <= 0) return undefined
  const exporter = new SpanExporter({
    endpoint,
    headers,
    version,
    resource: {
      'service.name': traceService,
      'service.version': version,
      'service.instance.id': `${hostname()}-${process.pid}`,
      'host.name': hostname(),
      'process.pid': process.pid,
      'meridian.region': region,
    },
    dropped: (spans) => dropped.add(spans),
    exported: (spans) => exported.add(spans),
    isAway: (isAway, why) => {
      if (isAway) log.warn('the collector does not take spans', { why })
      else log.info('the collector takes spans again')
    },
  })
  const { nowMicroseconds, monotonic, randomBytes } = world
  const isExpected = (error: unknown): boolean => error instanceof Fault && !failures.has(error.code)
  const tracer = new Tracer({ nowMicroseconds, monotonic, randomBytes, ratio, isExpected, ended: exporter.add })
  return { tracer, close: () => exporter.close() }
}

/** The same log; each line of a request that is traced says of which trace it is. */
export function tracedLog(log: Log, tracer: Tracer): Log {
  const at =
    (name: keyof Log) =>
    (message: string, fields: LogFields = {}): void => {
      const context = tracer.current?.context
      const { traceId, spanId } = context ?? {}
      log[name](message, context === undefined ? fields : { ...fields, traceId, spanId })
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** The same store, with a span for each transaction and each reading; without a tracer, the store itself. */
export function tracedStore(store: Store, tracer: Tracer | undefined, driver: string): Store {
  if (tracer === undefined) return store
  const options = { kind: 'client', attributes: { 'db.system.name': driver } } as const
  return {
    transact: (body, since) => {
      if (tracer.current === undefined) return store.transact(body, since)
      return tracer.inSpan('metadata transaction', options, (span) => traced(store, span).transact(body, since))
    },
    snapshot: (body, since) => {
      if (tracer.current === undefined) return store.snapshot(body, since)
      return tracer.inSpan('metadata read', options, () => store.snapshot(body, since))
    },
    watch: (key, signal) => store.watch(key, signal),
    close: () => store.close(),
    ...foreseen(store),
  }
}

/** What one transaction is asked of, so that its span hears of each run of its body. */
function traced(store: Store, span: Span | undefined): Pick<Store, 'transact'> {
  const observed = observedStore(
    store,
    () => 0,
    ({ isCommitted, runs, bytes }) => {
      span?.set('meridian.transaction.committed', isCommitted)
      span?.set('meridian.transaction.retries', Math.max(0, runs - 1))
      span?.set('meridian.transaction.bytes', bytes)
    },
  )
  return {
    transact: (body, since) => {
      let isAgain = false
      return observed.transact((transaction) => {
        if (isAgain) span?.event('conflict: its body runs again')
        isAgain = true
        return body(transaction)
      }, since)
    },
  }
}

/** The same bytes, with a span for each blob that is written or read; without a tracer, the blobs themselves. */
export function tracedBlobs(blobs: Blobs, tracer: Tracer | undefined): Blobs {
  if (tracer === undefined) return blobs
  return {
    write: (id, body, expected) => {
      if (tracer.current === undefined) return blobs.write(id, body, expected)
      return tracer.inSpan('blob write', {}, async (span) => {
        const stored = await blobs.write(id, body, expected)
        span?.set('meridian.blob.bytes', stored.size)
        return stored
      })
    },
    read: (id, extents, from, to, lends) => {
      const chunks = () => blobs.read(id, extents, from, to, lends)
      if (tracer.current === undefined) return chunks()
      const attributes = { 'meridian.blob.bytes': to - from, 'meridian.served_from': 'volume' }
      return tracer.reading('blob read', { attributes }, chunks)
    },
    checksums: (id, extents) => blobs.checksums(id, extents),
  }
}
