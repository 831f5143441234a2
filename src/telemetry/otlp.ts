import type { AttributeValue, EndedSpan, SpanKind } from './span.ts'

/** https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding: ids in hexadecimal, numbers of 64 bits as text. */
const kinds: Readonly<Record<SpanKind, number>> = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 }
const statusError = 2
const sampledFlag = 1

export type Attributes = Readonly<Record<string, AttributeValue>>

function encodeValue(value: AttributeValue): object {
  if (typeof value === 'string') return { stringValue: value }
  if (typeof value === 'boolean') return { boolValue: value }
  return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value }
}

const encodeAttributes = (attributes: Attributes): readonly object[] =>
  Object.entries(attributes).map(([key, value]) => ({ key, value: encodeValue(value) }))

const nanoseconds = (microseconds: number): string => `${microseconds}000`

const spanOf = (span: EndedSpan): object => ({
  traceId: span.traceId,
  spanId: span.spanId,
  ...(span.parentId !== undefined && { parentSpanId: span.parentId }),
  flags: sampledFlag,
  name: span.name,
  kind: kinds[span.kind],
  startTimeUnixNano: nanoseconds(span.began),
  endTimeUnixNano: nanoseconds(span.ended),
  attributes: encodeAttributes(span.attributes),
  ...(span.events.length > 0 && {
    events: span.events.map(({ name, at }) => ({ name, timeUnixNano: nanoseconds(at) })),
  }),
  ...(span.links.length > 0 && { links: span.links.map(({ traceId, spanId }) => ({ traceId, spanId })) }),
  status: span.hasFailed ? { code: statusError } : {},
})

/** The body of a request to `/v1/traces`. `resource` tells of the process. */
export const encodeSpans = (resource: Attributes, version: string, spans: readonly EndedSpan[]): string =>
  JSON.stringify({
    resourceSpans: [
      {
        resource: { attributes: encodeAttributes(resource) },
        scopeSpans: [{ scope: { name: 'meridian', version }, spans: spans.map(spanOf) }],
      },
    ],
  })
