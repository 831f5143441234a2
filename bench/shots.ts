import type { Call, SignedClient } from '../test/support/signed-client.ts'
import type { Shot } from './generator.ts'

/** Requests as bytes, signed now: good for a quarter of an hour. */
export function shots(client: SignedClient, calls: readonly Call[]): Shot[] {
  return calls.map((call) => {
    const { path, headers } = client.signed(call)
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
    const head = Buffer.from(`${call.method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`)
    return { head, isHead: call.method === 'HEAD', ...(call.body !== undefined && { body: bufferOf(call.body) }) }
  })
}

/** The same bytes, not a copy: all bodies of a load may be one. */
const bufferOf = ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer => Buffer.from(buffer, byteOffset, byteLength)

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

export const bucket = 'bench'

export const keyOf = (size: number, index: number): string => `/${bucket}/${size}/${String(index).padStart(6, '0')}`

export function objectCalls(method: string, size: number, count: number, body?: Uint8Array): Call[] {
  return numbers(count).map((index) => ({ method, path: keyOf(size, index), ...(body !== undefined && { body }) }))
}
