import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'

/** A span as a collector gets it. */
export interface ReceivedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: Readonly<Record<string, string | number | boolean>>
  readonly events: readonly { readonly name: string }[]
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[]
  readonly hasFailed: boolean
  /** `meridian.region` of its resource. */
  readonly region: string
  readonly resource: Readonly<Record<string, string | number | boolean>>
}

interface Attribute {
  readonly key: string
  readonly value: { stringValue?: string; intValue?: string; doubleValue?: number; boolValue?: boolean }
}

type Sent = Omit<ReceivedSpan, 'attributes' | 'events' | 'links' | 'hasFailed' | 'region' | 'resource'> & {
  readonly attributes: readonly Attribute[]
  readonly events?: ReceivedSpan['events']
  readonly links?: ReceivedSpan['links']
  readonly status: { readonly code?: number }
}

interface Body {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] }
    readonly scopeSpans: readonly { readonly spans: readonly Sent[] }[]
  }[]
}

export type Behaviour = 'takes' | 'refuses' | 'fails' | 'hangs'

const attributesOf = (sent: readonly Attribute[]): ReceivedSpan['attributes'] =>
  Object.fromEntries(
    sent.map(({ key, value: { stringValue, intValue, doubleValue, boolValue } }) => [
      key,
      stringValue ?? (intValue === undefined ? (doubleValue ?? boolValue ?? '') : Number(intValue)),
    ]),
  )

/** A collector of OpenTelemetry, as far as traces by OTLP over HTTP go. */
export class Collector {
  readonly spans: ReceivedSpan[] = []
  /** All that came, word for word. */
  text = ''
  readonly requests: { readonly path: string; readonly headers: IncomingMessage['headers']; readonly spans: number }[] =
    []
  behaviour: Behaviour = 'takes'
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
    server.on('request', (request, response) => {
      this.#take(request, response).catch(() => response.destroy())
    })
  }

  static async start(): Promise<Collector> {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return new Collector(server)
  }

  get endpoint(): string {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('the collector has no address')
    return `http://127.0.0.1:${address.port}`
  }

  /** The spans of a trace. */
  trace(traceId: string): readonly ReceivedSpan[] {
    return this.spans.filter((each) => each.traceId === traceId)
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = ''
    for await (const piece of request as AsyncIterable<Buffer>) text += piece.toString()
    const { resourceSpans } = JSON.parse(text) as Body
    const received = resourceSpans.flatMap(({ resource, scopeSpans }) => {
      const of = attributesOf(resource.attributes)
      return scopeSpans.flatMap(({ spans }) =>
        spans.map(({ attributes, events = [], links = [], status, ...span }) => ({
          ...span,
          attributes: attributesOf(attributes),
          events,
          links,
          hasFailed: status.code === 2,
          region: String(of['meridian.region']),
          resource: of,
        })),
      )
    })
    this.requests.push({ path: request.url ?? '', headers: request.headers, spans: received.length })
    if (this.behaviour === 'hangs') return
    if (this.behaviour !== 'takes') {
      response.writeHead(this.behaviour === 'fails' ? 503 : 400).end()
      return
    }
    this.text += text
    this.spans.push(...received)
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  }
}
