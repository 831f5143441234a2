import { randomBytes } from 'node:crypto'
import type { Keys } from '#src/encryption/key-provider.ts'
import { unwrapKey, wrapKey } from '#src/encryption/key-wrap.ts'

/** The store's own keys, for tests that keep nothing. */
export function memoryKeys(): Keys['own'] {
  const key = randomBytes(32)
  return {
    current: () => 'the one',
    generate: async (_, context) => {
      const plain = randomBytes(32)
      return { plain, wrapped: wrapKey(key, plain, context, randomBytes(12)) }
    },
    unwrap: async (_, wrapped, context) => unwrapKey(key, wrapped, context),
  }
}
