import { createHash, createHmac } from 'node:crypto'

/** Signature version 4 of requests and URLs, for what the SDK has no command for. */
export interface Signer {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
  readonly region: string
}

export interface ToSign {
  readonly method: string
  readonly url: URL
  readonly headers?: Readonly<Record<string, string>>
  readonly now: Date
}

const unsigned = 'UNSIGNED-PAYLOAD'
const algorithm = 'AWS4-HMAC-SHA256'

const sha256 = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex')
const hmac = (key: string | Uint8Array, text: string): Buffer => createHmac('sha256', key).update(text).digest()

/** RFC 3986, as AWS wants it. */
export const encoded = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`)

const timeOf = (now: Date): string => now.toISOString().replace(/[-:]|\.\d{3}/g, '')

function canonicalQuery(url: URL): string {
  const pairs = [...url.searchParams].map(([name, value]) => `${encoded(name)}=${encoded(value)}`)
  return pairs.sort().join('&')
}

function signatureOf(signer: Signer, time: string, canonical: string): string {
  const scope = scopeOf(signer, time)
  const steps = [time.slice(0, 8), signer.region, 's3', 'aws4_request']
  const key = steps.reduce((each: Buffer, step) => hmac(each, step), Buffer.from(`AWS4${signer.secretAccessKey}`))
  return hmac(key, `${algorithm}\n${time}\n${scope}\n${sha256(canonical)}`).toString('hex')
}

const scopeOf = ({ region }: Signer, time: string): string => `${time.slice(0, 8)}/${region}/s3/aws4_request`

/** The headers that a request goes out with. */
export function signedHeaders(signer: Signer, { method, url, headers = {}, now }: ToSign): Record<string, string> {
  const time = timeOf(now)
  const all: Record<string, string> = {
    ...headers,
    host: url.host,
    'x-amz-content-sha256': unsigned,
    'x-amz-date': time,
    ...(signer.sessionToken !== undefined && { 'x-amz-security-token': signer.sessionToken }),
  }
  const names = Object.keys(all).sort()
  const lines = names.map((name) => `${name}:${all[name]?.trim()}\n`).join('')
  const canonical = `${method}\n${url.pathname}\n${canonicalQuery(url)}\n${lines}\n${names.join(';')}\n${unsigned}`
  const signature = signatureOf(signer, time, canonical)
  const credential = `${signer.accessKeyId}/${scopeOf(signer, time)}`
  all['authorization'] =
    `${algorithm} Credential=${credential}, SignedHeaders=${names.join(';')}, Signature=${signature}`
  return all
}

/** The same URL, good for so many seconds for whoever has it. */
export function presigned(signer: Signer, { method, url, now }: Omit<ToSign, 'headers'>, seconds: number): URL {
  const time = timeOf(now)
  const signed = new URL(url)
  const query = {
    'X-Amz-Algorithm': algorithm,
    'X-Amz-Credential': `${signer.accessKeyId}/${scopeOf(signer, time)}`,
    'X-Amz-Date': time,
    'X-Amz-Expires': String(seconds),
    'X-Amz-SignedHeaders': 'host',
    ...(signer.sessionToken !== undefined && { 'X-Amz-Security-Token': signer.sessionToken }),
  }
  for (const [name, value] of Object.entries(query)) signed.searchParams.set(name, value)
  const canonical = `${method}\n${signed.pathname}\n${canonicalQuery(signed)}\nhost:${signed.host}\n\nhost\n${unsigned}`
  const signature = signatureOf(signer, time, canonical)
  signed.search = `${canonicalQuery(signed)}&X-Amz-Signature=${signature}`
  return signed
}
