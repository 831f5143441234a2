import { createInterface } from 'node:readline'
import { openFoundationStore } from '#src/store/foundationdb/open.ts'
import { openLmdbStore } from '#src/store/lmdb/open.ts'
import { realWorld } from '#src/world.ts'

/**
 * Another process on the same store: a directory, or a cluster file and a prefix. Carries out one command a line, and answers one line each, after the commit:
 * `set key value`, `get key`, `watch key`, `increment key times`, `hang key` (stays in a body, holding a snapshot), `close`.
 */
const [place = '', prefix] = process.argv.slice(2)
const store =
  prefix === undefined
    ? await openLmdbStore({ path: place, world: realWorld })
    : await openFoundationStore({ world: realWorld, clusterFile: place, prefix, timeout: 60_000 })
const text = (value: Uint8Array | undefined): string => Buffer.from(value ?? []).toString()

async function carryOut([command = '', key = '', argument = '']: readonly string[]): Promise<string> {
  const name = Buffer.from(key)
  switch (command) {
    case 'set':
      await store.transact(async (transaction) => transaction.set(name, Buffer.from(argument)))
      return 'done'
    case 'get':
      return text(await store.snapshot((snapshot) => snapshot.get(name)))
    case 'watch': {
      const changed = store.watch(name, new AbortController().signal)
      process.stdout.write('watching\n')
      await changed
      return text(await store.snapshot((snapshot) => snapshot.get(name)))
    }
    case 'increment':
      for (let round = 0; round < Number(argument); round++) {
        await store.transact(async (transaction) => {
          const before = Number(text(await transaction.get(name)))
          transaction.set(name, Buffer.from(String(before + 1)))
        })
      }
      return 'done'
    case 'hang':
      return store.snapshot(async (snapshot) => {
        await snapshot.get(name)
        process.stdout.write('hanging\n')
        return new Promise<string>(() => undefined)
      })
    default:
      await store.close()
      return 'closed'
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${await carryOut(line.split(' ')).catch((error: unknown) => `failed ${error}`)}\n`)
}
