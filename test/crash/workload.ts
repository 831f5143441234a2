import { createHash, randomBytes, randomInt } from 'node:crypto'
import type { SignedClient } from '../support/signed-client.ts'
import type { Ledger, State } from './ledger.ts'

export const bucket = 'crash'
const keysPerWriter = 60
const partBytes = 5 * 2 ** 20
/** Bytes of bodies come from here: making fresh ones would cost more than writing them. */
const pool = randomBytes(8 * 2 ** 20)

const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex')

/** Bytes that no other write has. */
function freshBytes(size: number): Buffer {
  const from = randomInt(pool.length - size)
  const bytes = Buffer.from(pool.subarray(from, from + size))
  randomBytes(16).copy(bytes)
  return bytes
}

const pathOf = (key: string): string => `/${bucket}/${key}`

/** One writer after another operation, until the signal; whatever is answered, or not, goes into the ledger. */
export async function write(client: SignedClient, ledger: Ledger, writer: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const key = `writer-${writer}/key-${randomInt(keysPerWriter)}`
    const dice = randomInt(100)
    try {
      if (dice < 75) await put(client, ledger, key, dice < 45 ? 1024 : dice < 70 ? 65_536 : 2 ** 20)
      else if (dice < 90) await remove(client, ledger, key)
      else if (dice < 97) await copy(client, ledger, key, `writer-${writer}/key-${randomInt(keysPerWriter)}`)
      else await upload(client, ledger, key)
    } catch {
      // The connection broke: the outcome is unknown, and the server probably down.
      ledger.lose()
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

async function attempt(ledger: Ledger, key: string, state: State, send: () => Promise<number>): Promise<void> {
  ledger.begin(key, state)
  const status = await send()
  if (status >= 200 && status < 300) ledger.acknowledge(key, state)
  else ledger.lose()
}

async function put(client: SignedClient, ledger: Ledger, key: string, size: number): Promise<void> {
  const body = freshBytes(size)
  await attempt(
    ledger,
    key,
    md5(body),
    async () => (await client.send({ method: 'PUT', path: pathOf(key), body })).status,
  )
}

async function remove(client: SignedClient, ledger: Ledger, key: string): Promise<void> {
  await attempt(ledger, key, 'absent', async () => (await client.send({ method: 'DELETE', path: pathOf(key) })).status)
}

async function copy(client: SignedClient, ledger: Ledger, key: string, source: string): Promise<void> {
  const state = ledger.known(source)
  if (state === undefined || state === 'absent' || source === key) return
  const headers = { 'x-amz-copy-source': pathOf(source) }
  await attempt(ledger, key, state, async () => {
    const { status, body } = await client.send({ method: 'PUT', path: pathOf(key), headers })
    return body.includes('<Error>') ? 500 : status
  })
}

async function upload(client: SignedClient, ledger: Ledger, key: string): Promise<void> {
  const path = pathOf(key)
  const started = await client.send({ method: 'POST', path, query: { uploads: '' } })
  const uploadId = /<UploadId>([^<]+)</.exec(started.body.toString())?.[1]
  if (uploadId === undefined) return
  const parts = [freshBytes(partBytes), freshBytes(70_000)]
  const etags: string[] = []
  for (const [index, body] of parts.entries()) {
    const query = { partNumber: String(index + 1), uploadId }
    const { status, headers } = await client.send({ method: 'PUT', path, query, body })
    if (status !== 200) return
    etags.push(headers.etag ?? '')
  }
  const list = etags.map((etag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${etag}</ETag></Part>`)
  const body = Buffer.from(`<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>`)
  await attempt(ledger, key, md5(Buffer.concat(parts)), async () => {
    const answer = await client.send({ method: 'POST', path, query: { uploadId }, body })
    return answer.body.includes('<Error>') ? 500 : answer.status
  })
}

/** What a key holds now. Throws where the store answers neither the bytes nor that there are none. */
export async function read(client: SignedClient, key: string): Promise<State> {
  const { status, body } = await client.send({ method: 'GET', path: pathOf(key) })
  if (status === 404) return 'absent'
  if (status === 200) return md5(body)
  throw new Error(`GET ${key} answers ${status}: ${body.toString().slice(0, 300)}`)
}

/** All keys of the bucket. */
export async function list(client: SignedClient): Promise<Set<string>> {
  const keys = new Set<string>()
  let token: string | undefined
  do {
    const query = { 'list-type': '2', ...(token !== undefined && { 'continuation-token': token }) }
    const { status, body } = await client.send({ method: 'GET', path: `/${bucket}`, query })
    if (status !== 200) throw new Error(`a listing answers ${status}`)
    const text = body.toString()
    for (const [, key] of text.matchAll(/<Key>([^<]+)<\/Key>/g)) if (key !== undefined) keys.add(key)
    token = /<NextContinuationToken>([^<]+)</.exec(text)?.[1]
  } while (token !== undefined)
  return keys
}
