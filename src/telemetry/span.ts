import { type TraceContext, writeTraceparent } from './trace-context.ts'

export type AttributeValue = string | number | boolean

/** https://opentelemetry.io/docs/specs/otel/trace/api/#spankind */
export type SpanKind = 'internal' | 'server' | 'client' | 'producer' | 'consumer'

export interface SpanOptions {
  readonly kind?: SpanKind
  readonly attributes?: Readonly<Record<string, AttributeValue>>
}

/** A span that is over, as plain data. Times are microseconds since the epoch. */
export interface EndedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentId: string | undefined
  readonly name: string
  readonly kind: SpanKind
  readonly began: number
  readonly ended: number
  readonly attributes: Readonly<Record<string, AttributeValue>>
  readonly events: readonly { readonly name: string; readonly at: number }[]
  readonly links: readonly TraceContext[]
  readonly hasFailed: boolean
}

/** What spans of one process are made by, and told to. */
export interface Recorder {
  /** Never goes back, in milliseconds. */
  monotonic(): number
  newSpanId(): string
  /** Whether what was thrown is an answer rather than a failure. */
  isExpected(error: unknown): boolean
  ended(span: EndedSpan): void
}

/** What the spans of one trace in one process share. */
export interface LocalTrace {
  readonly traceId: string
  /** Microseconds since the epoch, and milliseconds of the monotonic clock at the same moment: a clock that is set bends no trace. */
  readonly began: number
  readonly origin: number
  /** How many spans it may still have. */
  left: number
}

/** A stretch of work of one trace. Whoever begins one ends it. */
export class Span {
  readonly #recorder: Recorder
  readonly #trace: LocalTrace
  readonly #spanId: string
  readonly #parentId: string | undefined
  readonly #kind: SpanKind
  readonly #began: number
  readonly #attributes: Record<string, AttributeValue>
  readonly #events: { readonly name: string; readonly at: number }[] = []
  readonly #links: TraceContext[] = []
  #name: string
  #hasFailed = false
  #isOver = false

  constructor(
    recorder: Recorder,
    trace: LocalTrace,
    parentId: string | undefined,
    name: string,
    { kind = 'internal', attributes = {} }: SpanOptions,
  ) {
    this.#recorder = recorder
    this.#trace = trace
    this.#spanId = recorder.newSpanId()
    this.#parentId = parentId
    this.#name = name
    this.#kind = kind
    this.#attributes = { ...attributes }
    this.#began = this.#now()
  }

  get context(): TraceContext {
    return { traceId: this.#trace.traceId, spanId: this.#spanId, isSampled: true }
  }

  /** As others are told it. */
  get traceparent(): string {
    return writeTraceparent(this.context)
  }

  /** A part of this work; undefined: the trace has as many spans as it may have. */
  child(name: string, options: SpanOptions = {}): Span | undefined {
    if (this.#trace.left <= 0) return undefined
    this.#trace.left -= 1
    return new Span(this.#recorder, this.#trace, this.#spanId, name, options)
  }

  rename(name: string): void {
    this.#name = name
  }

  set(name: string, value: AttributeValue | undefined): void {
    if (value !== undefined) this.#attributes[name] = value
  }

  event(name: string): void {
    this.#events.push({ name, at: this.#now() })
  }

  link(context: TraceContext | undefined): void {
    if (context !== undefined) this.#links.push(context)
  }

  /** Tells the kind of what was thrown, and never its words: what is in them nobody knows. */
  failed(error: unknown): void {
    this.#attributes['error.type'] = typeOf(error)
    if (!this.#recorder.isExpected(error)) this.fail()
  }

  fail(): void {
    this.#hasFailed = true
  }

  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#recorder.ended({
      traceId: this.#trace.traceId,
      spanId: this.#spanId,
      parentId: this.#parentId,
      name: this.#name,
      kind: this.#kind,
      began: this.#began,
      ended: this.#now(),
      attributes: this.#attributes,
      events: this.#events,
      links: this.#links,
      hasFailed: this.#hasFailed,
    })
  }

  #now(): number {
    const { began, origin } = this.#trace
    return began + Math.round((this.#recorder.monotonic() - origin) * 1_000)
  }
}

function typeOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}
