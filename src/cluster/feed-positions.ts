import { readCursor } from '#src/metadata/cursors.ts'
import { type Membership, memberOf } from '#src/model/region.ts'
import { readHeads } from './feed-methods.ts'
import { decodeHeads, encodeHeads } from './page-codec.ts'
import type { Positions } from './positions.ts'

/** How far cells have followed each other, by the cursors of their feeds. */
export function feedPositions(incarnation: string, membership: () => Membership): Positions {
  return {
    heads: async (from) => encodeHeads({ incarnation, heads: await readHeads(from) }),
    async hasReached(from, cell, bytes) {
      const { incarnation: theirs, heads } = decodeHeads(bytes)
      if (memberOf(membership(), cell)?.incarnation !== theirs) return false
      for (const [partition, head] of heads.entries()) {
        const cursor = await readCursor(from, { cell, incarnation: theirs, partition })
        if (Buffer.compare(cursor, head) < 0) return false
      }
      return true
    },
  }
}
