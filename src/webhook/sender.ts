import { type ClientRequest, Agent as PlainAgent, request as plainRequest } from 'node:http'
import { Agent as TlsAgent, request as tlsRequest } from 'node:https'
import type { LookupFunction } from 'node:net'
import type { World } from '#src/world.ts'
import type { Reach } from './addresses.ts'
import { checkNumber, judgedLookup } from './reach.ts'

/** One message on its way to an endpoint. */
export interface Posting {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Sends a message: resolves where the endpoint took it (2xx), otherwise rejects with the reason. */
export interface Sender {
  send(posting: Posting, signal: AbortSignal): Promise<void>
  close(): void
}

/** Why a message was not taken, in words for an operator. */
export class NotTaken extends Error {}

/** From the first packet to the end of the answer. */
const timeoutMilliseconds = 10_000
/** Of an answer, which nobody reads. */
const answerBytesMax = 64 * 1024

const beyond = (host: string): NotTaken =>
  new NotTaken(`${host} is at an address that messages may not be sent to (--notification-endpoints)`)

/** POSTs by HTTP or HTTPS; follows no redirect, which could lead anywhere. */
export class HttpSender implements Sender {
  readonly #world: World
  readonly #reach: Reach
  readonly #lookup: LookupFunction
  readonly #plain: PlainAgent
  readonly #tls: TlsAgent

  constructor(world: World, reach: Reach) {
    this.#world = world
    this.#reach = reach
    this.#lookup = judgedLookup(reach, beyond)
    this.#plain = new PlainAgent({ keepAlive: true, timeout: 30_000 })
    this.#tls = new TlsAgent({ keepAlive: true, timeout: 30_000 })
  }

  async send(posting: Posting, signal: AbortSignal): Promise<void> {
    const url = new URL(posting.url)
    checkNumber(url, this.#reach, beyond)
    const ending = new AbortController()
    const both = AbortSignal.any([signal, ending.signal])
    const late = this.#world.sleep(timeoutMilliseconds, both).then(
      () => Promise.reject(new NotTaken(`no answer within ${timeoutMilliseconds / 1000} s`)),
      () => undefined,
    )
    try {
      const status = await Promise.race([this.#post(url, posting, both), late])
      if (status === undefined) throw signal.reason
      if (status < 200 || status > 299) throw new NotTaken(`the endpoint answered ${status}`)
    } finally {
      ending.abort()
    }
  }

  #post(url: URL, { headers, body }: Posting, signal: AbortSignal): Promise<number> {
    const isTls = url.protocol === 'https:'
    const [ask, agent] = isTls ? [tlsRequest, this.#tls] : [plainRequest, this.#plain]
    const { username, password } = url
    const authorization =
      username === ''
        ? {}
        : {
            authorization: `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`,
          }
    return new Promise((taken, refused) => {
      const sent: ClientRequest = ask(
        url,
        {
          method: 'POST',
          agent,
          signal,
          lookup: this.#lookup,
          headers: { ...headers, ...authorization, 'content-length': String(Buffer.byteLength(body)) },
        },
        (answer) => {
          let size = 0
          answer.on('data', (chunk: Buffer) => {
            size += chunk.length
            if (size > answerBytesMax) sent.destroy(new NotTaken('the endpoint answers more than anybody would read'))
          })
          answer.on('error', refused)
          answer.on('end', () => taken(answer.statusCode ?? 0))
        },
      )
      sent.on('error', refused)
      sent.end(body)
    })
  }

  close(): void {
    this.#plain.destroy()
    this.#tls.destroy()
  }
}

/** In words for an operator. */
export function whyNotTaken(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  return error.message === '' ? (code ?? error.name) : error.message
}
