import { catalogue } from './catalogue.ts'
import type { Counter, Family, Gauge, Histogram, Metrics } from './metrics.ts'

/** Names that are counted one by one; whatever else a request calls itself is `other`. */
const operationsMost = 1_000
const other = 'other'

interface OperationMeters {
  readonly operation: string
  /** By status; made when it first comes. */
  readonly statuses: (Counter | undefined)[]
  readonly seconds: Histogram
  readonly received: Counter
  readonly sent: Counter
}

/** Counts requests; allocates nothing once it has seen an operation and a status. */
export class RequestMeters {
  readonly underWay: Gauge
  readonly connections: Gauge
  readonly failures: Counter
  readonly #requests: Family<Counter>
  readonly #seconds: Family<Histogram>
  readonly #received: Family<Counter>
  readonly #sent: Family<Counter>
  readonly #operations = new Map<string, OperationMeters>()

  constructor(metrics: Metrics) {
    this.underWay = metrics.gauge(catalogue.requestsUnderWay).of()
    this.connections = metrics.gauge(catalogue.connections).of()
    this.failures = metrics.counter(catalogue.requestFailures).of()
    this.#requests = metrics.counter(catalogue.requests)
    this.#seconds = metrics.histogram(catalogue.requestSeconds)
    this.#received = metrics.counter(catalogue.receivedBytes)
    this.#sent = metrics.counter(catalogue.sentBytes)
  }

  /** Bytes are those of the connection, heads included. An object for these would be one more for the collector a request. */
  answered(operation: string, status: number, seconds: number, received: number, sent: number): void {
    const meters = this.#operations.get(operation) ?? this.#begin(operation)
    const counted = meters.statuses[status] ?? this.#count(meters, status)
    counted.add()
    meters.seconds.observe(seconds)
    meters.received.add(received)
    meters.sent.add(sent)
  }

  #begin(operation: string): OperationMeters {
    if (this.#operations.size >= operationsMost && operation !== other) {
      return this.#operations.get(other) ?? this.#begin(other)
    }
    const meters: OperationMeters = {
      operation,
      statuses: [],
      seconds: this.#seconds.of(operation),
      received: this.#received.of(operation),
      sent: this.#sent.of(operation),
    }
    this.#operations.set(operation, meters)
    return meters
  }

  #count(meters: OperationMeters, status: number): Counter {
    const counter = this.#requests.of(meters.operation, String(status))
    meters.statuses[status] = counter
    return counter
  }
}
