import { randomBytes } from 'node:crypto'
import { chunkBytes } from '#src/blobs/frame.ts'
import { openVolumes } from '#src/blobs/volumes.ts'
import { realWorld } from '#src/world.ts'

/** Fills a volume's cache until it is killed, and says what it took: `cache-writer.ts <volume> <budget>`. */
const [path = '', budget = ''] = process.argv.slice(2)
const volumes = await openVolumes({ world: realWorld, paths: [path], reserveBytes: 0 })
const cache = await volumes.openCache({ budget: Number(budget), ageMilliseconds: 86_400_000 })
for (;;) {
  const id = randomBytes(16).toString('hex')
  cache.add(id, 0, Buffer.alloc(chunkBytes, id))
  await cache.settled()
  process.send?.(id)
}
