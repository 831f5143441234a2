import type { World } from '#src/world.ts'
import { signatureHeader, signatureOf } from './signature.ts'

export interface SignedCall {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly url: string
  readonly fields: Readonly<Record<string, unknown>>
  readonly secret: string
}

const patienceMilliseconds = 30_000
const answerBytesMax = 1 << 20

export interface CallAnswer {
  readonly status: number
  /** Undefined: none, or not in JSON. */
  readonly value: unknown
}

/** Asks as Fly asks: signed, with a time, a nonce and the URL within what is signed. Rejects where nobody answers in time. */
export async function callSigned(world: World, call: SignedCall, signal?: AbortSignal): Promise<CallAnswer> {
  const { method, url, fields, secret } = call
  const timestamp = Math.floor(world.now() / 1000)
  const nonce = Buffer.from(world.randomBytes(16)).toString('hex')
  const isBody = method === 'POST' || method === 'PATCH'
  const all = { ...fields, nonce, timestamp, url }
  const text = isBody
    ? JSON.stringify(all)
    : new URLSearchParams(
        Object.entries(all).map(([name, value]): [string, string] => [name, String(value)]),
      ).toString()
  const signals = [AbortSignal.timeout(patienceMilliseconds), signal].filter((each) => each !== undefined)
  const response = await fetch(isBody ? url : `${url}?${text}`, {
    method,
    headers: {
      [signatureHeader]: signatureOf(secret, Buffer.from(text)),
      ...(isBody && { 'content-type': 'application/json' }),
    },
    ...(isBody && { body: text }),
    redirect: 'error',
    signal: AbortSignal.any(signals),
  })
  const body = await response.text()
  return { status: response.status, value: body.length > answerBytesMax ? undefined : parsed(body) }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
