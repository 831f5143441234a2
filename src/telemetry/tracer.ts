import { AsyncLocalStorage } from 'node:async_hooks'
import { type EndedSpan, type LocalTrace, type Recorder, Span, type SpanOptions } from './span.ts'
import { readTraceparent, type TraceContext } from './trace-context.ts'

export interface TracerParts {
  /** Microseconds since the epoch. */
  nowMicroseconds(): bigint
  /** In milliseconds. */
  monotonic(): number
  randomBytes(size: number): Uint8Array
  /** Of all requests, how many are traced at most: 0 to 1. */
  readonly ratio: number
  isExpected(error: unknown): boolean
  ended(span: EndedSpan): void
}

/** Spans of one trace in one process: a request of ten thousand parts must not fill the memory. */
const spansMost = 1_000
/** How many requests in a row may be traced beyond the ratio, since few were before. */
const burst = 10

/**
 * Makes the spans of a process, and knows in whose work it is being asked.
 *
 * O1  no more of the requests than the ratio are traced, whatever clients ask for: their ids are taken, and chance is ours.
 * O2  work of which nobody traces the beginning has no spans, and waits for nothing here.
 */
export class Tracer {
  readonly #parts: TracerParts
  readonly #recorder: Recorder
  readonly #active = new AsyncLocalStorage<Span>()
  #credit = burst

  constructor(parts: TracerParts) {
    this.#parts = parts
    const newSpanId = (): string => this.#id(8)
    const { monotonic, isExpected, ended } = parts
    this.#recorder = { monotonic, isExpected, ended, newSpanId }
  }

  /** Of the work that whoever asks is part of; undefined: it is not traced. */
  get current(): Span | undefined {
    return this.#active.getStore()
  }

  within<T>(span: Span, work: () => T): T {
    return this.#active.run(span, work)
  }

  /** For a request of a client, with what it said of the trace that it belongs to; undefined: it is not traced. */
  request(name: string, traceparent: string | readonly string[] | undefined, options: SpanOptions): Span | undefined {
    const parent = readTraceparent(traceparent)
    return this.#isWanted(parent) ? this.#begin(name, parent, options) : undefined
  }

  /** For work that another process of ours asked for, which decided whether it is traced. */
  resume(name: string, traceparent: string | readonly string[] | undefined, options: SpanOptions): Span | undefined {
    const parent = readTraceparent(traceparent)
    return parent?.isSampled === true ? this.#begin(name, parent, options) : undefined
  }

  /** Does the work as a part of the current one; `span` is undefined where that is not traced. */
  async inSpan<T>(name: string, options: SpanOptions, work: (span: Span | undefined) => Promise<T>): Promise<T> {
    return await this.spanning(this.current?.child(name, options), work)
  }

  /** Does the work as that span, and ends it. */
  async spanning<T>(span: Span | undefined, work: (span: Span | undefined) => Promise<T>): Promise<T> {
    if (span === undefined) return await work(undefined)
    try {
      return await this.#active.run(span, () => work(span))
    } catch (error) {
      span.failed(error)
      throw error
    } finally {
      span.end()
    }
  }

  /** Reads pieces as a part of the current work, from the first that is asked for to the last. */
  async *reading<T>(
    name: string,
    options: SpanOptions,
    open: (span: Span | undefined) => AsyncIterable<T>,
  ): AsyncGenerator<T> {
    const span = this.current?.child(name, options)
    if (span === undefined) {
      yield* open(undefined)
      return
    }
    const pieces = this.#active.run(span, () => open(span)[Symbol.asyncIterator]())
    try {
      for (;;) {
        const { done, value } = await this.#active.run(span, () => pieces.next())
        if (done === true) return
        yield value
      }
    } catch (error) {
      span.failed(error)
      throw error
    } finally {
      await this.#active.run(span, async () => await pieces.return?.())
      span.end()
    }
  }

  #begin(name: string, parent: TraceContext | undefined, options: SpanOptions): Span {
    const trace: LocalTrace = {
      traceId: parent?.traceId ?? this.#id(16),
      began: Number(this.#parts.nowMicroseconds()),
      origin: this.#parts.monotonic(),
      left: spansMost - 1,
    }
    return new Span(this.#recorder, trace, parent?.spanId, name, options)
  }

  #isWanted(parent: TraceContext | undefined): boolean {
    const { ratio } = this.#parts
    if (ratio <= 0) return false
    this.#credit = Math.min(burst, this.#credit + ratio)
    if (this.#credit < 1) return false
    const isWanted = parent === undefined ? ratio >= 1 || this.#chance() < ratio : parent.isSampled
    if (isWanted) this.#credit -= 1
    return isWanted
  }

  #chance(): number {
    return Buffer.from(this.#parts.randomBytes(4)).readUInt32BE() / 2 ** 32
  }

  /** All zeros are no id. */
  #id(bytes: number): string {
    const id = Buffer.from(this.#parts.randomBytes(bytes))
    if (id.every((each) => each === 0)) id[0] = 1
    return id.toString('hex')
  }
}
