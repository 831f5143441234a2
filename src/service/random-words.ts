import type { World } from '#src/world.ts'

export const upperCase = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
export const alphanumeric = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/** Letters drawn evenly: bytes that would favour the first ones are thrown away. */
export function randomWord(world: Pick<World, 'randomBytes'>, alphabet: string, length: number): string {
  const even = 256 - (256 % alphabet.length)
  let word = ''
  while (word.length < length) {
    for (const byte of world.randomBytes(length)) {
      if (byte < even && word.length < length) word += alphabet.charAt(byte % alphabet.length)
    }
  }
  return word
}

/** 16 random bytes in hexadecimal: the id of a blob, or of bytes that are encrypted. */
export const randomId = (world: Pick<World, 'randomBytes'>): string =>
  Buffer.from(world.randomBytes(16)).toString('hex')
