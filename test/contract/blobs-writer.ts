import { createHash, randomBytes } from 'node:crypto'
import fs from 'node:fs'
import { openVolumes } from '#src/blobs/volumes.ts'
import { realWorld } from '#src/world.ts'

/**
 * A process that writes until it is killed, and tells of each acknowledged blob on its standard output. What a blob holds
 * follows from its id, so that whoever reads it knows.
 */
export function bodyOf(id: string): Buffer {
  const seed = createHash('sha256').update(id).digest()
  // Mostly small ones, some of several MiB.
  const size = seed.readUInt8(0) < 16 ? 1_000_000 + (seed.readUInt32BE(4) % 3_000_000) : seed.readUInt32BE(4) % 150_000
  const body = Buffer.alloc(size)
  for (let at = 0; at < size; at += seed.length) seed.copy(body, at)
  for (let at = 0; at < size; at += 1_000) body.writeUInt8((at / 1_000) & 255, at)
  return body
}

async function main(path: string): Promise<void> {
  const volumes = await openVolumes({ world: realWorld, paths: [path], reserveBytes: 0, segmentBytes: 4_000_000 })
  const tell = (line: unknown): number => fs.writeSync(1, `${JSON.stringify(line)}\n`)

  const slow = async (): Promise<void> => {
    const id = randomBytes(16).toString('hex')
    await volumes.write(
      id,
      (async function* () {
        for (;;) {
          yield randomBytes(700_000)
          await new Promise((resolve) => setTimeout(resolve, 5))
        }
      })(),
    )
  }
  const busy = async (): Promise<void> => {
    for (;;) {
      const id = randomBytes(16).toString('hex')
      const body = bodyOf(id)
      const blob = await volumes.write(
        id,
        (async function* () {
          for (let at = 0; at < body.length; at += 65_536) yield body.subarray(at, at + 65_536)
        })(),
        body.length % 2 === 0 ? body.length : undefined,
      )
      tell(blob)
    }
  }
  tell('ready')
  await Promise.all([slow(), ...Array.from({ length: 12 }, busy)])
}

const [, script, path] = process.argv
if (script === import.meta.filename && path !== undefined) await main(path)
