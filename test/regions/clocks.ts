import { existsSync, globSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PutObjectCommand } from '@aws-sdk/client-s3'
import { makeBucket } from './buckets.ts'
import { type Check, settles, wait } from './check.ts'
import type { Cluster } from './cluster.ts'
import { type Companion, underFaults } from './faults.ts'
import { isRefusal, newKey, type Seen, Store } from './s3.ts'
import type { Trouble } from './troubles.ts'
import type { Phase } from './writers.ts'

/** Seconds that a clock is turned by. More than a minute, and no other region listens any more. */
const turns = [3_600, -3_600, 20, -20]
/** Long enough for a region that hears of nobody to go on by itself. */
const heldMilliseconds = 15_000
/** How far ahead of the right time a stamp may be: what a clock may be wrong by, and how late that is noticed (C8). */
const aheadMost = 3_000
const seenMost = 1_500

/** The library that turns the wall clock of a process, and leaves its monotonic one alone. */
function library(): string | undefined {
  return globSync('/usr/lib/*/faketime/libfaketime.so.1')[0]
}

export const whyNoClocks = (): string | undefined => (library() === undefined ? 'there is no libfaketime' : undefined)

/** A clock for each region, in a file that its processes look at each second. */
export class Clocks {
  readonly #folder: string

  constructor(folder: string, codes: readonly string[]) {
    this.#folder = folder
    for (const code of codes) this.turn(code, 0)
  }

  /** By so many seconds from the right time. */
  turn(code: string, seconds: number): void {
    const file = this.#file(code)
    // Whole or not at all: a process may be looking.
    writeFileSync(`${file}.new`, `${seconds < 0 ? '-' : '+'}${Math.abs(seconds)}s\n`)
    renameSync(`${file}.new`, file)
  }

  readonly environmentOf = (code: string): Readonly<Record<string, string>> => {
    const path = library()
    if (path === undefined || !existsSync(this.#file(code))) throw new Error('there are no clocks to be turned')
    return {
      LD_PRELOAD: path,
      FAKETIME_TIMESTAMP_FILE: this.#file(code),
      FAKETIME_CACHE_DURATION: '1',
      // A monotonic clock that goes back stops timers for ever, and no machine has that.
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    }
  }

  #file(code: string): string {
    return join(this.#folder, `${code}.clock`)
  }
}

interface Chain {
  readonly key: string
  /** What was acknowledged last. */
  last: Seen
  /** Tried after it; nobody knows whether it stands. */
  tried: Seen
}

/** Passes a key from region to region: each overwrites what it has seen of the one before. The last must win, whatever clocks say (I5). */
class Relay implements Companion {
  readonly #stores: readonly Store[]
  readonly #chains: Chain[] = []
  #hops = 0

  constructor(stores: readonly Store[]) {
    this.#stores = stores
  }

  get note(): string {
    return `${this.#hops} overwrites of what another region had written`
  }

  async work(phase: Phase): Promise<void> {
    while (!phase.isOver) {
      const chain: Chain = { key: newKey('relay'), last: undefined, tried: undefined }
      this.#chains.push(chain)
      for (let turn = 0; turn < 30 && chain.tried === undefined && !phase.isOver; turn++) await this.#pass(chain, turn)
    }
  }

  async #pass(chain: Chain, turn: number): Promise<void> {
    const store = this.#stores[turn % this.#stores.length]
    if (store === undefined) return
    const { failure } = await settles(
      async (): Promise<Seen> => await store.get(chain.key).catch(() => 'no answer'),
      (seen) => seen === chain.last,
      { within: seenMost, watched: 0 },
    )
    // It is cut off: the next one may not be.
    if (failure !== undefined) return
    chain.tried = `${chain.key} ${turn}`
    try {
      await store.put(chain.key, chain.tried)
    } catch (error) {
      if (isRefusal(error)) throw error
      await wait(50)
      return
    }
    if (chain.last !== undefined) this.#hops++
    chain.last = chain.tried
    chain.tried = undefined
  }

  async verify(): Promise<readonly string[]> {
    const failures = this.#hops < 10 ? [`only ${this.#hops} overwrites of what another region had written`] : []
    for (const { key, last, tried } of this.#chains) {
      const { failure } = await settles(
        async () => {
          const seen = new Set(await Promise.all(this.#stores.map((store) => store.get(key))))
          return seen.size === 1 ? [...seen][0] : [...seen].join(' | ')
        },
        (seen) => seen === last || (tried !== undefined && seen === tried),
        { watched: 0 },
      )
      if (failure !== undefined) failures.push(`${key}: ${failure} instead of ${last}`)
    }
    return failures
  }
}

/** Looks at stamps, as version ids show them: none may be of a time that has not come. */
class Stamps implements Companion {
  readonly #cluster: Cluster
  readonly #code: string
  readonly #bucket: string
  readonly #wrong: string[] = []
  #seen = 0

  constructor(cluster: Cluster, code: string, bucket: string) {
    this.#cluster = cluster
    this.#code = code
    this.#bucket = bucket
  }

  get note(): string {
    return `${this.#seen} stamps of ${this.#code}`
  }

  async work(phase: Phase): Promise<void> {
    const client = this.#cluster.client(this.#code)
    while (!phase.isOver) {
      const key = newKey(this.#code)
      try {
        const { VersionId = '' } = await client.send(
          new PutObjectCommand({ Bucket: this.#bucket, Key: key, Body: key }),
        )
        const ahead = Number(BigInt(VersionId) / 1_000_000n) - Date.now()
        this.#seen++
        if (ahead > aheadMost) this.#wrong.push(`${this.#code} drew a stamp that is ${ahead} ms ahead`)
      } catch (error) {
        if (isRefusal(error)) throw error
      }
      await wait(50)
    }
  }

  async verify(): Promise<readonly string[]> {
    return this.#seen === 0 ? [`${this.#code} drew no stamp`] : this.#wrong
  }
}

const turned =
  (clocks: Clocks): Trouble =>
  async ({ codes }, round) => {
    const code = codes[(round + Math.floor(round / turns.length)) % codes.length] ?? ''
    clocks.turn(code, turns[round % turns.length] ?? 0)
    await wait(heldMilliseconds)
    clocks.turn(code, 0)
    // Until all its processes have looked, and others have heard of it.
    await wait(3_000)
  }

export const clockName =
  'a clock that is an hour or some seconds wrong: nothing is lost, who has seen a write wins over it, no stamp is of the future'

export const clockCheck = (clocks: Clocks): Check =>
  underFaults({
    name: clockName,
    bucket: 'clocks',
    trouble: () => turned(clocks),
    rounds: ({ isLong }) => (isLong ? 3 : 1) * turns.length,
    companions: async (cluster) => {
      const [root = ''] = cluster.codes
      await makeBucket(cluster, root, 'relays')
      await makeBucket(cluster, root, 'stamps', { isVersioned: true })
      const stores = cluster.codes.map((code) => new Store(code, cluster.client(code), 'relays'))
      return [
        new Relay(stores),
        new Relay([...stores].reverse()),
        ...cluster.codes.map((code) => new Stamps(cluster, code, 'stamps')),
      ]
    },
  })
