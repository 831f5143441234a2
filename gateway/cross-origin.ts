import type { IncomingHttpHeaders } from 'node:http'
import { Fault } from '#src/errors.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { Services } from '#src/service/services.ts'
import type { Address } from './address.ts'
import { type CorsQuestion, preflightHeaders, preflightQuestion, responseCorsHeaders } from './cors.ts'
import type { Incoming } from './incoming.ts'
import type { S3Response } from './operations/operation.ts'
export type Settings = Pick<Services['buckets'], 'get'>

/** A bucket that is asked for by a name that none can have is simply not there. */
export async function findBucket(buckets: Settings, name: string): Promise<Bucket | undefined> {
  try {
    return await buckets.get(name)
  } catch (error) {
    if (error instanceof Fault) return undefined
    throw error
  }
}

export const single = (headers: IncomingHttpHeaders): Readonly<Record<string, string | undefined>> =>
  // Node gives an array for `set-cookie` only, which no operation reads.
  headers as Readonly<Record<string, string | undefined>>

export async function preflight(buckets: Settings, address: Address, incoming: Incoming): Promise<S3Response> {
  const question = preflightQuestion(single(incoming.headers))
  const bucket = address.bucket === '' ? undefined : await findBucket(buckets, address.bucket)
  return { status: 200, headers: preflightHeaders(bucket?.cors, question) }
}

type CrossOrigin = Readonly<Record<string, string>> | undefined

async function readCrossOrigin(buckets: Settings, address: Address, incoming: Incoming): Promise<CrossOrigin> {
  const origin = incoming.headers.origin ?? ''
  const bucket = await findBucket(buckets, address.bucket)
  // Some clients say here what they asked in the preflight; S3 then answers for that method.
  const asked = single(incoming.headers)['access-control-request-method']
  const question: CorsQuestion = { origin, method: asked ?? incoming.method, headers: [] }
  return responseCorsHeaders(bucket?.cors, question)
}

/** What a browser is told of any answer; most requests are no browser's, and wait for nothing here. */
export function crossOrigin(
  buckets: Settings,
  address: Address,
  incoming: Incoming,
): CrossOrigin | Promise<CrossOrigin> {
  const isAsked = incoming.headers.origin !== undefined && address.bucket !== '' && incoming.method !== 'OPTIONS'
  return isAsked ? readCrossOrigin(buckets, address, incoming) : undefined
}
