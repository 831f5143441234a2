import { createHash, createHmac } from 'node:crypto'
import type { Credentials } from './signed-client.ts'

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const hmac = (key: string | Uint8Array, text: string): Buffer => createHmac('sha256', key).update(text).digest()

export interface SnsAnswer {
  readonly status: number
  readonly text: string
  /** The text of the first element of a name. */
  value(name: string): string | undefined
}

/** Calls SNS as its SDKs do: a form, signed for the service `sns` with the body's hash. */
export class SnsClient {
  readonly #endpoint: URL
  readonly #credentials: Credentials

  constructor(endpoint: string, credentials: Credentials) {
    this.#endpoint = new URL(endpoint)
    this.#credentials = credentials
  }

  async call(action: string, fields: Readonly<Record<string, string>> = {}): Promise<SnsAnswer> {
    const body = new URLSearchParams({ Action: action, Version: '2010-03-31', ...fields }).toString()
    const time = new Date().toISOString().replace(/[-:]|\.\d{3}/g, '')
    const day = time.slice(0, 8)
    const headers: Record<string, string> = {
      'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
      host: this.#endpoint.host,
      'x-amz-date': time,
    }
    const names = Object.keys(headers).sort()
    const lines = names.map((name) => `${name}:${headers[name]}\n`).join('')
    const canonical = `POST\n/\n\n${lines}\n${names.join(';')}\n${sha256(body)}`
    const scope = `${day}/us-east-1/sns/aws4_request`
    const { accessKey, secretKey } = this.#credentials
    const key = [day, 'us-east-1', 'sns', 'aws4_request'].reduce(
      (each: Buffer, step) => hmac(each, step),
      Buffer.from(`AWS4${secretKey}`),
    )
    const signature = hmac(key, `AWS4-HMAC-SHA256\n${time}\n${scope}\n${sha256(canonical)}`).toString('hex')
    const authorization = `AWS4-HMAC-SHA256 Credential=${accessKey}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`
    const { host: _, ...sent } = headers
    const answer = await fetch(this.#endpoint, { method: 'POST', body, headers: { ...sent, authorization } })
    const text = await answer.text()
    return {
      status: answer.status,
      text,
      value: (name) => new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1]?.replaceAll('&amp;', '&'),
    }
  }

  /** Its ARN. */
  async createTopic(name: string, attributes: Readonly<Record<string, string>> = {}): Promise<string> {
    const fields: Record<string, string> = { Name: name }
    for (const [at, [key, value]] of Object.entries(attributes).entries()) {
      fields[`Attributes.entry.${at + 1}.key`] = key
      fields[`Attributes.entry.${at + 1}.value`] = value
    }
    const { status, text, value } = await this.call('CreateTopic', fields)
    const arn = value('TopicArn')
    if (status !== 200 || arn === undefined) throw new Error(`CreateTopic: ${status} ${text}`)
    return arn
  }
}
