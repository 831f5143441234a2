import { randomWord } from '#src/service/random-words.ts'
import type { World } from '#src/world.ts'

const first =
  'amber brisk calm clear cool dawn deep early fair fresh gentle green high kind late light mild new quiet swift'
const second =
  'bay brook cloud coast dune field fjord grove hill isle lake leaf mesa pine rain reef ridge shore stone tide'

const draw = (world: Pick<World, 'randomBytes'>, words: string): string => {
  const all = words.split(' ')
  const [byte = 0] = world.randomBytes(1)
  return all[byte % all.length] ?? ''
}

/** A name for a bucket that nobody named: easy to read out, and hardly ever drawn twice. */
export const newBucketName = (world: Pick<World, 'randomBytes'>): string =>
  `${draw(world, first)}-${draw(world, second)}-${randomWord(world, '0123456789abcdefghjkmnpqrstvwxyz', 8)}`
