import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto'
import { ContentTampered } from './content-tampered.ts'

/**
 * Keys under keys: AES-256-GCM with a random nonce.
 *
 * K1  a wrapped key unwraps to what was wrapped under the same key and context, and under no other.
 */
export const keyBytes = 32
const nonceBytes = 12
const tagBytes = 16
/** Nonce, key, tag. */
export const wrappedBytes = nonceBytes + keyBytes + tagBytes

/** `nonce` must be random: a key wraps far fewer than 2^32 others. */
export function wrapKey(wrapping: Uint8Array, plain: Uint8Array, context: Uint8Array, nonce: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', wrapping, nonce)
  cipher.setAAD(context)
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

export function unwrapKey(wrapping: Uint8Array, wrapped: Uint8Array, context: Uint8Array): Uint8Array {
  if (wrapped.length !== wrappedBytes) throw new ContentTampered('a wrapped key of another length')
  const decipher = createDecipheriv('aes-256-gcm', wrapping, wrapped.subarray(0, nonceBytes), {
    authTagLength: tagBytes,
  })
  decipher.setAAD(context)
  decipher.setAuthTag(wrapped.subarray(nonceBytes + keyBytes))
  try {
    return Buffer.concat([decipher.update(wrapped.subarray(nonceBytes, nonceBytes + keyBytes)), decipher.final()])
  } catch (cause) {
    throw new ContentTampered('a key that does not unwrap', { cause })
  }
}

/** A key for one purpose, from which no other purpose's can be found. */
export const deriveKey = (key: Uint8Array, salt: Uint8Array, purpose: string): Uint8Array =>
  new Uint8Array(hkdfSync('sha256', key, salt, `meridian ${purpose}`, keyBytes))
