import { createHash } from 'node:crypto'
import type { Acl } from '#src/model/access.ts'
import type { ObjectAttributes } from '#src/model/upload.ts'
import type { Body, Read } from '#src/service/services.ts'
import type { Chance } from './chance.ts'

/** Of the buckets that every simulation has; ids are those of the namespace. */
export const buckets = [
  { name: 'plain', id: 1, versioning: 'off' },
  { name: 'kept', id: 2, versioning: 'enabled' },
  { name: 'paused', id: 3, versioning: 'suspended' },
] as const

export type SimulatedBucket = (typeof buckets)[number]

export const keyCount = 10
export const anyKey = (chance: Chance): string => `k${chance.below(keyCount)}`

export const owner = 'owner'
export const acl: Acl = {
  owner,
  grants: [{ grantee: { kind: 'account', id: owner, displayName: '' }, permission: 'FULL_CONTROL' }],
}
export const attributes: ObjectAttributes = {
  owner,
  acl,
  headers: {},
  metadata: new Map(),
  storageClass: 'STANDARD',
}
export const guard = (): void => {}

export const md5Of = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex')

export function bodyOf(bytes: Uint8Array): Body {
  return {
    length: bytes.length,
    async *stream() {
      yield bytes
    },
    pieces: async () => [bytes],
  }
}

export async function bytesOf({ bytes }: Pick<Read, 'bytes'>): Promise<Uint8Array> {
  if (bytes instanceof Uint8Array) return bytes
  const chunks: Uint8Array[] = []
  for await (const chunk of bytes) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}
