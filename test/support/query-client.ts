import { createHash, createHmac } from 'node:crypto'

/** Calls the query APIs as their clients do: signed with version 4, over the hash of a body that no header names. */
export interface QueryCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

export interface QueryAnswer {
  readonly status: number
  readonly text: string
  /** The text of the first element of that name. */
  element(name: string): string
  /** `ok`, or the code of the error. */
  readonly code: string
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()

const versions = { iam: '2010-05-08', sts: '2011-06-15' } as const

/** `by` undefined: unsigned. `change`: what becomes of headers and body behind the signature. */
export async function callQuery(
  endpoint: string,
  service: keyof typeof versions,
  by: QueryCredentials | undefined,
  fields: Readonly<Record<string, string>>,
  change: { readonly headers?: Readonly<Record<string, string>>; readonly body?: string; readonly scope?: string } = {},
): Promise<QueryAnswer> {
  const body = new URLSearchParams({ Version: versions[service], ...fields }).toString()
  const type = 'application/x-www-form-urlencoded; charset=utf-8'
  const headers: Record<string, string> = { 'content-type': type }
  if (by !== undefined) {
    const date = new Date().toISOString().replace(/[-:]|\.\d{3}/g, '')
    headers['x-amz-date'] = date
    if (by.sessionToken !== undefined) headers['x-amz-security-token'] = by.sessionToken
    const signed: Record<string, string> = { ...headers, host: new URL(endpoint).host }
    const names = Object.keys(signed).sort()
    const lines = names.map((name) => `${name}:${signed[name]}\n`).join('')
    const scope = `${date.slice(0, 8)}/us-east-1/${change.scope ?? service}/aws4_request`
    const text = `AWS4-HMAC-SHA256\n${date}\n${scope}\n${sha256(`POST\n/\n\n${lines}\n${names.join(';')}\n${sha256(body)}`)}`
    const key = scope.split('/').reduce((each: string | Buffer, step) => hmac(each, step), `AWS4${by.secretAccessKey}`)
    const signature = hmac(key, text).toString('hex')
    headers['authorization'] =
      `AWS4-HMAC-SHA256 Credential=${by.accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`
  }
  const answer = await fetch(endpoint, {
    method: 'POST',
    headers: { ...headers, ...change.headers },
    body: change.body ?? body,
  })
  const text = await answer.text()
  const element = (name: string): string => new RegExp(`<${name}>([^<]*)<`).exec(text)?.[1] ?? ''
  return { status: answer.status, text, element, code: answer.ok ? 'ok' : element('Code') }
}
