import { createCipheriv, createDecipheriv } from 'node:crypto'
import type { SealedSecret } from '#src/model/encryption.ts'
import { ContentTampered } from './content-tampered.ts'
import type { Keys } from './key-provider.ts'

const nonceBytes = 12
const tagBytes = 16

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')

/**
 * Seals a secret under a data key of its own.
 *
 * K2  what was sealed opens to the same bytes with the same keys and context, and to nothing otherwise.
 */
export async function sealSecret(
  own: Keys['own'],
  secret: Uint8Array,
  context: Uint8Array,
  randomBytes: (size: number) => Uint8Array,
): Promise<SealedSecret> {
  const keyId = own.current()
  const { plain, wrapped } = await own.generate(keyId, context)
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv('aes-256-gcm', plain, nonce)
  cipher.setAAD(context)
  const sealed = Buffer.concat([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()])
  return { keyId, wrapped: base64(wrapped), sealed: base64(sealed) }
}

export async function openSecret(own: Keys['own'], secret: SealedSecret, context: Uint8Array): Promise<Uint8Array> {
  const sealed = Buffer.from(secret.sealed, 'base64')
  if (sealed.length < nonceBytes + tagBytes) throw new ContentTampered('a sealed secret of another length')
  const plain = await own.unwrap(secret.keyId, Buffer.from(secret.wrapped, 'base64'), context)
  const decipher = createDecipheriv('aes-256-gcm', plain, sealed.subarray(0, nonceBytes), { authTagLength: tagBytes })
  decipher.setAAD(context)
  decipher.setAuthTag(sealed.subarray(-tagBytes))
  try {
    return Buffer.concat([decipher.update(sealed.subarray(nonceBytes, -tagBytes)), decipher.final()])
  } catch (cause) {
    throw new ContentTampered('a sealed secret that does not open', { cause })
  }
}
