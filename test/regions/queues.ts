import { type ChildProcess, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeBucket } from './buckets.ts'
import { type Check, type Outcome, wait } from './check.ts'
import type { Cluster } from './cluster.ts'
import type { Machines } from './machines.ts'
import { isRefusal, newKey, padded, Store } from './s3.ts'

const port = 6379
export const redisUrl = `redis://[::1]:${port}`
const readyMost = 20_000
/** The outbox asks again for what the queue has forgotten within a minute; what was asked for then has to be done. */
const doneMost = 280_000
const lookMilliseconds = 4_000
const readsAtOnce = 12

export const whyNoRedis = (): string | undefined =>
  spawnSync('redis-server', ['--version']).status === 0 ? undefined : 'this machine has no redis-server'

/** A Redis on the machine of each region. */
export class RedisServers {
  readonly #machines: Machines
  readonly #folder = mkdtempSync(join(tmpdir(), 'meridian-redis-'))
  readonly #children = new Map<string, ChildProcess>()

  constructor(machines: Machines) {
    this.#machines = machines
  }

  /** It keeps nothing on disk: one that comes back has forgotten everything. */
  async start(code: string): Promise<void> {
    const words = ['redis-server', '--bind', '::1', '--port', String(port), '--save', '', '--dir', this.#folder]
    const child = this.#machines.spawn(code, words, {})
    this.#children.set(code, child)
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('redis-server is not ready')), readyMost)
      child.stdout?.on('data', (chunk: Buffer) => {
        if (!chunk.toString().includes('Ready to accept connections')) return
        clearTimeout(timer)
        resolve()
      })
      child.once('exit', (status) => {
        clearTimeout(timer)
        reject(new Error(`redis-server ended with ${status}`))
      })
    })
  }

  async flush(code: string): Promise<void> {
    const child = this.#machines.spawn(code, ['redis-cli', '-h', '::1', '-p', String(port), 'FLUSHALL'], {})
    const status = await new Promise((resolve) => child.once('exit', resolve))
    if (status !== 0) throw new Error(`FLUSHALL: ${status}`)
  }

  /** kill -9. */
  async kill(code: string): Promise<void> {
    const child = this.#children.get(code)
    if (child?.pid === undefined) return
    this.#children.delete(code)
    const ended = new Promise((resolve) => child.once('exit', resolve))
    process.kill(-child.pid, 'SIGKILL')
    await ended
  }

  async close(): Promise<void> {
    await Promise.all([...this.#children.keys()].map((code) => this.kill(code)))
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** Writes objects that every region is to hold, each once. */
async function write(store: Store, isOver: () => boolean): Promise<readonly string[]> {
  const keys: string[] = []
  while (!isOver()) {
    const key = newKey(store.region)
    try {
      await store.put(key, padded(key))
      keys.push(key)
    } catch (error) {
      if (isRefusal(error)) throw error
    }
    await wait(25)
  }
  return keys
}

/** What the volumes of a region hold, as `meridian volumes list` says beside its server. */
async function bytesIn(cluster: Cluster, code: string): Promise<number> {
  const said = await cluster.meridian(code, 'volumes', 'list', '--json', '--region', code)
  return (JSON.parse(said) as { bytes: number }[]).reduce((sum, { bytes }) => sum + bytes, 0)
}

/** Until every region holds so many bytes and no more come, or it has taken too long: nothing is read for it. */
async function filled(cluster: Cluster, bytes: number): Promise<void> {
  const began = performance.now()
  for (const code of cluster.codes) {
    let before = -1
    for (let now = await bytesIn(cluster, code); now < bytes || now !== before; now = await bytesIn(cluster, code)) {
      if (performance.now() - began > doneMost) return
      before = now
      await wait(lookMilliseconds)
    }
  }
}

/** What a region, that no other one is heard by, does not have. */
async function missingIn(store: Store, keys: readonly string[]): Promise<string[]> {
  const left = [...keys]
  const missing: string[] = []
  const some = async (): Promise<void> => {
    for (let key = left.pop(); key !== undefined; key = left.pop()) {
      const body = await store.get(key).catch(() => undefined)
      if (body !== padded(key)) missing.push(key)
    }
  }
  await Promise.all(Array.from({ length: readsAtOnce }, some))
  return missing
}

/** Takes all regions from each other, so that what is read is what each has. */
async function apart<T>({ machines, codes }: Cluster, body: () => Promise<T>): Promise<T> {
  for (const from of codes) for (const to of codes) if (from !== to) machines.cut(from, to)
  try {
    return await body()
  } finally {
    machines.mend()
  }
}

export const queueName = 'Redis emptied (FLUSHALL) and killed (kill -9), again and again: every job is done in the end'

/** Jobs bring copies of what is written to all regions of an accelerated bucket; the queue of the jobs is lost again and again. */
export const queueCheck = (servers: RedisServers): Check => ({
  name: queueName,
  async run(cluster, { rounds }): Promise<Outcome> {
    const bucket = 'queues'
    const [root = ''] = cluster.codes
    await makeBucket(cluster, root, bucket, { isEager: true })
    const stores = cluster.codes.map((code) => new Store(code, cluster.client(code), bucket))
    let isOver = false
    const writing = Promise.all(stores.map((store) => write(store, () => isOver)))
    try {
      await Promise.race([wiped(cluster, servers, rounds), writing])
    } finally {
      isOver = true
    }
    const keys = (await writing).flat()
    const began = performance.now()
    const holding = async (code: string): Promise<number> =>
      Math.floor((await bytesIn(cluster, code)) / padded('').length)
    const atFirst = await Promise.all(cluster.codes.map(holding))
    await filled(cluster, keys.length * padded('').length)
    const seconds = ((performance.now() - began) / 1000).toFixed(0)
    // Once, and at the end: what is read from another region stays, and no job would be needed for it.
    const failures = await apart(cluster, async () => {
      const looked = stores.map(async (store) => [store.region, await missingIn(store, keys)] as const)
      return (await Promise.all(looked)).flatMap(([region, left]) =>
        left.length === 0 ? [] : [`${region} has not got ${left.length} of ${keys.length}, such as ${left[0]}`],
      )
    })
    if (keys.length < 10 * rounds) failures.push(`only ${keys.length} writes were acknowledged`)
    const note = `all are in all regions ${seconds} s afterwards; at first there were ${atFirst.join(', ')} of them`
    return { operations: keys.length, failures, note }
  },
})

async function wiped({ codes }: Cluster, servers: RedisServers, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    for (const code of codes) await servers.flush(code)
    await wait(500)
    for (const code of codes) await servers.flush(code)
    const code = codes[round % codes.length] ?? ''
    await servers.kill(code)
    await wait(2_000)
    await servers.start(code)
    await wait(1_000)
  }
}
