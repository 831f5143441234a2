import type { IncomingMessage } from 'node:http'
import { BadSeal } from './sealing.ts'

/** All of what the other end sends. Rejects where it breaks off, and with BadSeal, ending the connection, where it is larger. */
export function collect(source: IncomingMessage, bytesMost: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    // It may have broken off while nobody listened.
    if (source.destroyed) return reject(source.errored ?? new Error('the other end left'))
    const pieces: Uint8Array[] = []
    let size = 0
    source.on('data', (piece: Buffer) => {
      size += piece.length
      if (size <= bytesMost) pieces.push(piece)
      else source.destroy(new BadSeal('a message that is too large'))
    })
    source.on('end', () => {
      const [only] = pieces
      resolve(pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces))
    })
    source.on('error', reject)
    source.on('close', () => reject(new Error('the other end left')))
  })
}
