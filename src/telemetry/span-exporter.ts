import { type Attributes, encodeSpans } from './otlp.ts'
import type { EndedSpan } from './span.ts'

export interface SpanExporterParts {
  /** As `http://127.0.0.1:4318`: spans go to `/v1/traces` under it. */
  readonly endpoint: string
  readonly headers: Readonly<Record<string, string>>
  readonly resource: Attributes
  readonly version: string
  /** Told of spans that came to nothing, and of those that were taken. */
  readonly dropped: (spans: number) => void
  readonly exported: (spans: number) => void
  /** Told once when the collector stops taking spans, and once when it takes them again; `why` is a status, or the kind of an error. */
  readonly isAway: (isAway: boolean, why: string) => void
  readonly limits?: Partial<ExportLimits>
}

export interface ExportLimits {
  /** Spans that wait; of more, the newest are dropped. */
  readonly waitingMost: number
  /** In one request. */
  readonly batchMost: number
  /** From the first span that waits to the request that takes it, in milliseconds. */
  readonly everyMs: number
  /** For an answer, in milliseconds. */
  readonly timeoutMs: number
  /** Between two requests while the collector is away, in milliseconds; twice as long after each, up to the second. */
  readonly pauseMs: readonly [first: number, most: number]
  /** For all that still waits at the end, in milliseconds. */
  readonly closeMs: number
}

const defaultLimits: ExportLimits = {
  waitingMost: 8_192,
  batchMost: 512,
  everyMs: 1_000,
  timeoutMs: 10_000,
  pauseMs: [1_000, 30_000],
  closeMs: 3_000,
}

/** https://opentelemetry.io/docs/specs/otlp/#retryable-response-codes */
const retryable: ReadonlySet<number> = new Set([429, 502, 503, 504])

type Ending = 'taken' | 'refused' | 'later'

/**
 * Brings spans to a collector by OTLP over HTTP, in JSON.
 *
 * O3  whoever ends a span waits for nothing, and hears of no failure: what the collector does not take in time is dropped and counted.
 * O4  it holds no more than `waitingMost` spans and a batch, and ends within `closeMs`.
 */
export class SpanExporter {
  readonly #parts: SpanExporterParts
  readonly #limits: ExportLimits
  readonly #url: string
  readonly #closing = new AbortController()
  #waiting: EndedSpan[] = []
  #timer: NodeJS.Timeout | undefined
  #sending: Promise<void> | undefined
  #pause = 0
  #isOver = false

  constructor(parts: SpanExporterParts) {
    this.#parts = parts
    this.#limits = { ...defaultLimits, ...parts.limits }
    this.#url = `${parts.endpoint.replace(/\/+$/, '')}/v1/traces`
  }

  readonly add = (span: EndedSpan): void => {
    if (this.#isOver || this.#waiting.length >= this.#limits.waitingMost) {
      this.#parts.dropped(1)
      return
    }
    this.#waiting.push(span)
    if (this.#sending !== undefined || this.#pause > 0) return
    if (this.#waiting.length >= this.#limits.batchMost) this.#start()
    else this.#arm(this.#limits.everyMs)
  }

  /** Sends what waits, as long as that is taken, but not for long. */
  async close(): Promise<void> {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#timer)
    const late = setTimeout(() => this.#closing.abort(), this.#limits.closeMs)
    try {
      await this.#sending
      while (this.#waiting.length > 0 && !this.#closing.signal.aborted) {
        const before = this.#waiting.length
        await this.#send()
        if (this.#waiting.length === before) break
      }
    } finally {
      clearTimeout(late)
    }
    if (this.#waiting.length > 0) this.#parts.dropped(this.#waiting.length)
    this.#waiting = []
  }

  #arm(milliseconds: number): void {
    if (this.#timer !== undefined || this.#isOver) return
    this.#timer = setTimeout(() => this.#start(), milliseconds)
    // Whoever wants to end closes this first.
    this.#timer.unref()
  }

  #start(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#sending !== undefined || this.#isOver) return
    this.#sending = this.#send().finally(() => {
      this.#sending = undefined
      if (this.#waiting.length > 0) this.#arm(this.#pause > 0 ? this.#pause : this.#limits.everyMs)
    })
  }

  /** Batch after batch while there are whole ones. Never rejects. */
  async #send(): Promise<void> {
    const { batchMost, pauseMs } = this.#limits
    do {
      const batch = this.#waiting.splice(0, batchMost)
      if (batch.length === 0) return
      const ending = await this.#post(batch)
      if (ending === 'later') {
        // The oldest wait on; what came meanwhile may have taken their room.
        const room = Math.max(0, this.#limits.waitingMost - this.#waiting.length)
        this.#waiting.unshift(...batch.slice(0, room))
        if (room < batch.length) this.#parts.dropped(batch.length - room)
        this.#pause = Math.min(pauseMs[1], this.#pause === 0 ? pauseMs[0] : 2 * this.#pause)
        return
      }
      this.#pause = 0
      if (ending === 'taken') this.#parts.exported(batch.length)
      else this.#parts.dropped(batch.length)
    } while (this.#waiting.length >= batchMost)
  }

  async #post(batch: readonly EndedSpan[]): Promise<Ending> {
    const { headers, resource, version } = this.#parts
    try {
      const response = await fetch(this.#url, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: encodeSpans(resource, version, batch),
        // Where it leads is no place that anybody named, and the headers may hold a secret.
        redirect: 'manual',
        signal: AbortSignal.any([AbortSignal.timeout(this.#limits.timeoutMs), this.#closing.signal]),
      })
      await response.body?.cancel()
      if (response.ok) {
        this.#tell(false, '')
        return 'taken'
      }
      this.#tell(true, String(response.status))
      return retryable.has(response.status) ? 'later' : 'refused'
    } catch (error) {
      this.#tell(true, reasonOf(error))
      return 'later'
    }
  }

  #wasAway = false

  #tell(isAway: boolean, why: string): void {
    if (isAway === this.#wasAway) return
    this.#wasAway = isAway
    this.#parts.isAway(isAway, why)
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { cause } = error
  return cause instanceof Error && 'code' in cause ? String(cause.code) : error.name
}
