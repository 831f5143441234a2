import assert from 'node:assert/strict'
import type { Encryption } from '#src/model/encryption.ts'
import type { RecordReader, RecordWriter } from './codec.ts'

const kinds = ['SSE-S3', 'SSE-KMS', 'SSE-C'] as const

/** What a version says of its encryption. */
export function writeEncryption(to: RecordWriter, encryption: Encryption): void {
  to.byte(kinds.indexOf(encryption.kind)).text(encryption.wrapped).text(encryption.seal)
  if (encryption.kind !== 'SSE-C') to.text(encryption.keyId)
  if (encryption.kind === 'SSE-KMS') to.byte(encryption.hasBucketKey ? 1 : 0).text(encryption.context ?? '')
}

export function readEncryption(from: RecordReader): Encryption {
  const kind = kinds[from.byte()]
  assert.ok(kind !== undefined, 'a kind of encryption of a record')
  const wrapped = from.text()
  const seal = from.text()
  if (kind === 'SSE-C') return { kind, wrapped, seal }
  const keyId = from.text()
  if (kind === 'SSE-S3') return { kind, keyId, wrapped, seal }
  const hasBucketKey = from.byte() === 1
  const context = from.text()
  return { kind, keyId, hasBucketKey, wrapped, seal, ...(context !== '' && { context }) }
}
