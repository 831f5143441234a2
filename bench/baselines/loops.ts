import { randomBytes } from 'node:crypto'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open as openLmdb } from 'lmdb'
import { Appender } from './appender.ts'

/**
 * What the disk and LMDB give to a loop that does nothing else, each a process that prints one number of writes a second:
 * `lmdb SIZE CONCURRENCY SECONDS` grouped commits of one record each; `append SIZE CONCURRENCY SECONDS` appends that share an
 * fdatasync, and then one small record each.
 */
const [kind, ...numbers] = process.argv.slice(2)
const [size = 1024, concurrency = 64, seconds = 5] = numbers.map(Number)

const folder = await mkdtemp(join(tmpdir(), 'meridian-loop-'))
const database = openLmdb({
  path: join(folder, 'lmdb'),
  overlappingSync: false,
  encoding: 'binary',
  keyEncoding: 'binary',
  maxReaders: 126,
})
const value = randomBytes(kind === 'lmdb' ? size : 200)
const until = performance.now() + seconds * 1000
let count = 0

const key = (): Buffer => {
  const bytes = Buffer.alloc(12)
  bytes.writeUInt32BE(count++)
  return bytes
}

const record = (): Promise<unknown> => {
  const at = key()
  return database.transaction(() => database.put(at, value))
}

async function lmdbWriter(): Promise<void> {
  while (performance.now() < until) await record()
}

async function appendWriter(appender: Appender): Promise<void> {
  const bytes = randomBytes(size)
  while (performance.now() < until) {
    await appender.append(bytes)
    await record()
  }
}

const file = await open(join(folder, 'segment'), 'w')
const appender = new Appender(file.fd)
const started = performance.now()
await Promise.all(Array.from({ length: concurrency }, () => (kind === 'lmdb' ? lmdbWriter() : appendWriter(appender))))
process.stdout.write(`${count / ((performance.now() - started) / 1000)}\n`)
await file.close()
await database.close()
await rm(folder, { recursive: true })
