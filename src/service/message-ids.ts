import type { World } from '#src/world.ts'

/** By chance, in the form of a UUID of version 4. */
export function messageId(world: Pick<World, 'randomBytes'>): string {
  const bytes = Buffer.from(world.randomBytes(16))
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  const digits = bytes.toString('hex')
  return [digits.slice(0, 8), digits.slice(8, 12), digits.slice(12, 16), digits.slice(16, 20), digits.slice(20)].join(
    '-',
  )
}
