import { createHash, createHmac } from 'node:crypto'
import { Agent, type IncomingMessage, request } from 'node:http'

/**
 * A small S3 client for harnesses: signs with version 4 and an unsigned payload, never retries, and hides nothing. The SDKs
 * would cost more than the server that is looked at.
 */
export interface Credentials {
  readonly accessKey: string
  readonly secretKey: string
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

export interface Call {
  readonly method: string
  /** With the bucket; percent-encoded already. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const hmac = (key: string | Uint8Array, text: string): Buffer => createHmac('sha256', key).update(text).digest()
/** RFC 3986, as AWS wants it. */
const encoded = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`)

export class SignedClient {
  readonly #host: string
  readonly #port: number
  readonly #credentials: Credentials
  readonly #agent: Agent
  readonly #patience: number
  #keyDate = ''
  #key: Buffer = Buffer.alloc(0)

  /** `patience`: how long an answer may pause, in milliseconds. */
  constructor(endpoint: string, credentials: Credentials, sockets = 64, patience = 60_000) {
    const { hostname, port } = new URL(endpoint)
    this.#host = hostname
    this.#port = Number(port)
    this.#credentials = credentials
    this.#patience = patience
    this.#agent = new Agent({ keepAlive: true, maxSockets: sockets })
  }

  /** Rejects where the connection breaks before the whole answer came: the outcome is then unknown. */
  async send(call: Call): Promise<Answer> {
    const { path, headers } = this.signed(call)
    return await new Promise((resolve, reject) => {
      const sent = request(
        { host: this.#host, port: this.#port, method: call.method, path, headers, agent: this.#agent },
        (answer) => {
          const chunks: Buffer[] = []
          answer.on('data', (chunk: Buffer) => chunks.push(chunk))
          answer.on('error', reject)
          answer.on('close', () => {
            if (!answer.complete) reject(new Error('the answer was cut short'))
            else resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) })
          })
        },
      )
      sent.on('error', reject)
      // A connection that was handed to a process just as it died is never answered.
      sent.setTimeout(this.#patience, () => sent.destroy(new Error('no answer in time')))
      sent.end(call.body)
    })
  }

  close(): void {
    this.#agent.destroy()
  }

  /** The path with its query, and all headers, as they go over the wire. */
  signed({ method, path, query = {}, headers = {}, body }: Call): { path: string; headers: Record<string, string> } {
    const time = new Date().toISOString().replace(/[-:]|\.\d{3}/g, '')
    const sent: Record<string, string> = {
      ...Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])),
      host: `${this.#host}:${this.#port}`,
      'x-amz-content-sha256': 'UNSIGNED-PAYLOAD',
      'x-amz-date': time,
    }
    const names = Object.keys(sent).sort()
    const pairs = Object.entries(query).map(([name, value]) => `${encoded(name)}=${encoded(value)}`)
    const queryText = pairs.sort().join('&')
    const lines = names.map((name) => `${name}:${sent[name]?.trim()}\n`).join('')
    const canonical = `${method}\n${path}\n${queryText}\n${lines}\n${names.join(';')}\nUNSIGNED-PAYLOAD`
    const date = time.slice(0, 8)
    const scope = `${date}/auto/s3/aws4_request`
    const text = `AWS4-HMAC-SHA256\n${time}\n${scope}\n${sha256(canonical)}`
    const signature = hmac(this.#signingKey(date), text).toString('hex')
    const { accessKey } = this.#credentials
    sent['authorization'] =
      `AWS4-HMAC-SHA256 Credential=${accessKey}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`
    if (body !== undefined) sent['content-length'] = String(body.length)
    return { path: queryText === '' ? path : `${path}?${queryText}`, headers: sent }
  }

  #signingKey(date: string): Buffer {
    if (this.#keyDate !== date) {
      const steps = [date, 'auto', 's3', 'aws4_request']
      this.#key = steps.reduce(
        (key: Buffer, step) => hmac(key, step),
        Buffer.from(`AWS4${this.#credentials.secretKey}`),
      )
      this.#keyDate = date
    }
    return this.#key
  }
}
