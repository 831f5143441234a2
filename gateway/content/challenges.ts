import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { S3Response } from '#gateway/operations/operation.ts'
import { Fault } from '#src/errors.ts'

const prefix = '.well-known/acme-challenge/'

/** RFC 8555 §8.1: base64url. */
const token = /^[A-Za-z0-9_-]{16,128}$/

export const isChallenge = (key: string): boolean => key.startsWith(prefix)

/** RFC 8555 §8.3: what an ACME client put into the folder, for its authority to see that the domain is ours. */
export async function challengeAnswer(folder: string, key: string): Promise<S3Response> {
  const name = key.slice(prefix.length)
  if (!token.test(name)) throw new Fault('NoSuchKey', { Key: key })
  try {
    const body = await readFile(join(folder, name))
    return { status: 200, headers: { 'content-type': 'application/octet-stream' }, body }
  } catch {
    throw new Fault('NoSuchKey', { Key: key })
  }
}
