import { CreateBucketCommand } from '@aws-sdk/client-s3'
import type { Check, Outcome } from './checks.ts'
import type { Cluster } from './cluster.ts'
import type { Machines } from './machines.ts'
import { isRefusal, type Seen, Store } from './s3.ts'

const wait = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds))

/** What one key may hold: the last that was acknowledged, or something that was tried after it. */
class Track {
  acknowledged: Seen
  readonly tried: Seen[] = []

  begin(body: Seen): void {
    this.tried.push(body)
  }

  done(body: Seen): void {
    this.acknowledged = body
    this.tried.length = 0
  }

  allows(seen: Seen): boolean {
    return seen === this.acknowledged || this.tried.includes(seen)
  }
}

/** Somebody who alone writes some keys, from one region, and so knows what they hold, whatever happens on the way. */
class Writer {
  acknowledged = 0
  duringFaults = 0
  readonly tracks = new Map<string, Track>()
  readonly #store: Store
  readonly #keys: readonly string[]
  #count = 0

  constructor(store: Store, name: string) {
    this.#store = store
    this.#keys = Array.from({ length: 8 }, (_, index) => `${name}-${index}`)
  }

  async work(isOver: () => boolean, isFaulty: () => boolean): Promise<void> {
    while (!isOver()) {
      const key = this.#keys[this.#count % this.#keys.length] ?? ''
      const body = this.#count % 5 === 4 ? undefined : `${key} ${this.#count}`
      this.#count++
      const track = this.tracks.get(key) ?? new Track()
      this.tracks.set(key, track)
      track.begin(body)
      try {
        if (body === undefined) await this.#store.delete(key)
        else await this.#store.put(key, body)
        track.done(body)
        this.acknowledged++
        if (isFaulty()) this.duringFaults++
      } catch (error) {
        if (isRefusal(error)) throw error
        // Nobody knows whether it was done. A region that is away needs no more of it.
        await wait(100)
      }
    }
  }
}

/** What every key of every writer holds in every region, once nothing stands in the way. */
async function verify(stores: readonly Store[], writers: readonly Writer[]): Promise<string[]> {
  const failures: string[] = []
  for (const writer of writers) {
    for (const [key, track] of writer.tracks) {
      const deadline = performance.now() + 60_000
      for (;;) {
        const seen = await Promise.all(stores.map((store) => store.get(key).catch((error: unknown) => String(error))))
        const isRight = new Set(seen).size === 1 && track.allows(seen[0])
        if (isRight) break
        if (performance.now() > deadline) {
          failures.push(`${key}: ${seen.join(' | ')} instead of ${track.acknowledged}`)
          break
        }
        await wait(200)
      }
    }
  }
  return failures
}

/** One deed after another, while writers in all regions go on; then all must agree, and hold what was acknowledged. */
function underFaults(name: string, bucket: string, deed: (cluster: Cluster, round: number) => Promise<void>): Check {
  return {
    name,
    async run(cluster, rounds): Promise<Outcome> {
      const [root = ''] = cluster.codes
      await cluster.client(root).send(new CreateBucketCommand({ Bucket: bucket }))
      const stores = cluster.codes.map((code) => new Store(code, cluster.client(code), bucket))
      const writers = stores.flatMap((store) => [0, 1].map((number) => new Writer(store, `${store.region}-${number}`)))
      let isOver = false
      let isFaulty = false
      const working = Promise.all(
        writers.map((writer) =>
          writer.work(
            () => isOver,
            () => isFaulty,
          ),
        ),
      )
      try {
        for (let round = 0; round < rounds; round++) {
          isFaulty = true
          await deed(cluster, round)
          isFaulty = false
          await wait(1_500)
        }
      } finally {
        isOver = true
      }
      await working
      const failures = await verify(stores, writers)
      const sum = (of: (writer: Writer) => number): number => writers.reduce((total, each) => total + of(each), 0)
      const operations = sum((each) => each.acknowledged)
      const faulty = sum((each) => each.duringFaults)
      // A store that answers nobody loses nothing either (C29).
      if (faulty < 20 * rounds) failures.push(`only ${faulty} writes were acknowledged during faults`)
      if (operations - faulty < 20 * rounds) failures.push(`only ${operations - faulty} were between them`)
      return { operations, failures, note: `${faulty} acknowledged during faults, ${operations - faulty} between` }
    },
  }
}

const codeAt = (cluster: Cluster, round: number): string => cluster.codes[round % cluster.codes.length] ?? ''

export const faultChecks = (machines: Machines, freezeMilliseconds: number): readonly Check[] => [
  underFaults(
    'kill -9 of a region, again and again: nothing acknowledged is lost',
    'killed',
    async (cluster, round) => {
      const code = codeAt(cluster, round)
      await cluster.kill(code)
      await wait(1_000)
      await cluster.startRegion(code)
    },
  ),
  underFaults(
    'links cut in one direction: nothing is lost, and nothing deleted comes back',
    'one-way',
    async (cluster, round) => {
      machines.cut(codeAt(cluster, round), codeAt(cluster, round + 1))
      await wait(4_000)
      machines.mend()
    },
  ),
  underFaults(
    'a region cut off from the others: nothing is lost, and nothing deleted comes back',
    'cut-off',
    async (cluster, round) => {
      const code = codeAt(cluster, round)
      for (const other of cluster.codes.filter((each) => each !== code)) {
        machines.cut(code, other)
        machines.cut(other, code)
      }
      await wait(4_000)
      machines.mend()
    },
  ),
  underFaults('a region that hangs: nothing is lost, and the others go on', 'hung', async (cluster, round) => {
    const code = codeAt(cluster, round + 1)
    cluster.freeze(code)
    await wait(freezeMilliseconds)
    cluster.thaw(code)
  }),
]
