import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import {
  CreateBucketCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
} from '@aws-sdk/client-s3'
import type { Cluster } from './cluster.ts'
import { newKey, type Seen, Store } from './s3.ts'

export interface Outcome {
  readonly operations: number
  readonly failures: readonly string[]
  readonly note?: string
}

export interface Check {
  readonly name: string
  run(cluster: Cluster, iterations: number): Promise<Outcome>
}

/** What comes from elsewhere must be there by then, in milliseconds, where nothing is broken. */
const convergenceMost = 20_000
/** How long a right answer must go on being given: an old one that comes back later is as wrong. */
const afterwards = 2_000
const atOnce = 10

const wait = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds))

/** Runs an iteration many times, some at once; collects what was wrong. */
async function repeat(
  iterations: number,
  perIteration: number,
  body: (index: number) => Promise<string | undefined>,
): Promise<{ operations: number; failures: string[] }> {
  const failures: string[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    for (let index = next++; index < iterations; index = next++) {
      const failure = await body(index).catch((error: unknown) => `iteration ${index}: ${String(error)}`)
      if (failure !== undefined) failures.push(failure)
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, iterations) }, worker))
  return { operations: iterations * perIteration, failures }
}

interface Settled {
  readonly milliseconds: number
  readonly failure?: string
}

/** Polls until what is seen is right, and then that it stays so. */
async function settles(
  look: () => Promise<Seen>,
  isRight: (seen: Seen) => boolean,
  watched = afterwards,
): Promise<Settled> {
  const began = performance.now()
  for (;;) {
    const seen = await look()
    if (isRight(seen)) break
    if (performance.now() - began > convergenceMost) return { milliseconds: convergenceMost, failure: `stays ${seen}` }
    await wait(10)
  }
  const milliseconds = performance.now() - began
  const end = performance.now() + watched
  while (performance.now() < end) {
    await wait(200)
    const seen = await look()
    if (!isRight(seen)) return { milliseconds, failure: `went back to ${seen}` }
  }
  return { milliseconds }
}

function noteOf(times: readonly number[]): string {
  const sorted = [...times].sort((one, other) => one - other)
  const at = (share: number): number => Math.round(sorted[Math.floor((sorted.length - 1) * share)] ?? 0)
  return `seen after ${at(0.5)} ms (median), ${at(0.99)} ms (p99), ${at(1)} ms (most)`
}

const command = fileURLToPath(new URL('../../bin/meridian.ts', import.meta.url))
const bucket = 'checks'
const versioned = 'versions'

export async function prepare(cluster: Cluster): Promise<void> {
  const client = cluster.client(cluster.codes.at(-1) ?? '')
  await client.send(new CreateBucketCommand({ Bucket: bucket }))
  await client.send(new CreateBucketCommand({ Bucket: versioned }))
  await client.send(
    new PutBucketVersioningCommand({ Bucket: versioned, VersioningConfiguration: { Status: 'Enabled' } }),
  )
}

const storesOf = (cluster: Cluster, isConsistent = false): readonly Store[] =>
  cluster.codes.map((code) => new Store(code, cluster.client(code), bucket, isConsistent))

/** Two different regions, another pair each time. */
function pairOf(stores: readonly Store[], index: number): readonly [Store, Store] {
  const one = stores[index % stores.length]
  const other = stores[(index + 1 + (Math.floor(index / stores.length) % (stores.length - 1))) % stores.length]
  if (one === undefined || other === undefined) throw new Error('there are two regions')
  return [one, other]
}

/** Something happens in one region, and is seen at once there. */
const within = (name: string, act: (store: Store, key: string) => Promise<Seen>, isConsistent = false): Check => ({
  name,
  run: (cluster, iterations) => {
    const stores = storesOf(cluster, isConsistent)
    return repeat(iterations, 3, async (index) => {
      const [store] = pairOf(stores, index)
      const key = newKey('within')
      const expected = await act(store, key)
      const seen = await store.head(key)
      return seen === expected ? undefined : `${store.region}: ${seen} instead of ${expected}`
    })
  },
})

/** Something happens in one region, and is seen in another one soon, and from then on. */
const across = (name: string, act: (store: Store, key: string, other: Store) => Promise<Seen>): Check => ({
  name,
  async run(cluster, iterations) {
    const stores = storesOf(cluster)
    const times: number[] = []
    const outcome = await repeat(iterations, 10, async (index) => {
      const [one, other] = pairOf(stores, index)
      const key = newKey('across')
      const expected = await act(one, key, other)
      const { milliseconds, failure } = await settles(
        () => other.head(key),
        (seen) => seen === expected,
      )
      times.push(milliseconds)
      return failure === undefined ? undefined : `${one.region} to ${other.region}: ${failure}`
    })
    return { ...outcome, note: noteOf(times) }
  },
})

/** Two regions write one key at once: both end with the same bytes, which one of them wrote. */
const together = (name: string, isConsistent: boolean): Check => ({
  name,
  run(cluster, iterations) {
    const stores = storesOf(cluster, isConsistent)
    return repeat(iterations, 10, async (index) => {
      const [one, other] = pairOf(stores, index)
      const key = newKey('together')
      const bodies = [`${key} by ${one.region}`, `${key} by ${other.region}`]
      await Promise.all([one.put(key, bodies[0] ?? ''), other.put(key, bodies[1] ?? '')])
      if (isConsistent) {
        const [left, right] = await Promise.all([one.get(key), other.get(key)])
        return left === right && bodies.includes(left ?? '') ? undefined : `${left} and ${right}`
      }
      const { failure } = await settles(
        async () => {
          const seen = await Promise.all(stores.map((store) => store.get(key)))
          return new Set(seen).size === 1 ? seen[0] : 'different'
        },
        (seen) => bodies.includes(seen ?? ''),
      )
      return failure
    })
  },
})

const listing: Check = {
  name: 'a list tells of a write at once in its region, and soon in the others',
  async run(cluster, iterations) {
    const stores = storesOf(cluster)
    const listed = async (code: string, key: string): Promise<Seen> => {
      const { Contents = [] } = await cluster
        .client(code)
        .send(new ListObjectsV2Command({ Bucket: bucket, Prefix: key }))
      return Contents[0]?.Key
    }
    return await repeat(iterations, 10, async (index) => {
      const [one, other] = pairOf(stores, index)
      const key = newKey('list')
      await one.put(key, key)
      if ((await listed(one.region, key)) !== key) return `${one.region} does not list ${key}`
      return (
        await settles(
          () => listed(other.region, key),
          (seen) => seen === key,
        )
      ).failure
    })
  },
}

const creating: Check = {
  name: 'of consistent writes that must create a key, in all regions at once, one succeeds',
  run(cluster, iterations) {
    const stores = storesOf(cluster, true)
    return repeat(iterations, stores.length + 1, async () => {
      const key = newKey('create')
      const done = await Promise.allSettled(stores.map((store) => store.put(key, store.region, { IfNoneMatch: '*' })))
      const winners = done.flatMap(({ status }, index) => (status === 'fulfilled' ? [stores[index]?.region] : []))
      const refused = done.filter(({ status }) => status === 'rejected').length
      if (winners.length !== 1 || refused !== stores.length - 1) return `${winners.join(', ')} succeeded`
      const stands = await stores[0]?.get(key)
      return stands === winners[0] ? undefined : `${winners[0]} succeeded, and ${stands} stands`
    })
  },
}

const versions: Check = {
  name: 'versions written in all regions at once are all there, in one order',
  run(cluster, iterations) {
    const list = async (code: string, key: string): Promise<Seen> => {
      const { Versions = [] } = await cluster
        .client(code)
        .send(new ListObjectVersionsCommand({ Bucket: versioned, Prefix: key }))
      return Versions.map(({ VersionId }) => VersionId).join(' ')
    }
    const stores = cluster.codes.map((code) => new Store(code, cluster.client(code), versioned))
    return repeat(iterations, 12, async () => {
      const key = newKey('version')
      await Promise.all(stores.map((store) => store.put(key, store.region)))
      const { failure } = await settles(
        async () => {
          const seen = new Set(await Promise.all(cluster.codes.map((code) => list(code, key))))
          return seen.size === 1 ? [...seen][0] : 'different'
        },
        (seen) => seen?.split(' ').length === stores.length,
      )
      return failure
    })
  },
}

/** What `meridian conflicts list` says beside a running region. */
function lostIn(cluster: Cluster, code: string): readonly string[] {
  const words = ['conflicts', 'list', '--json', '--bucket', bucket, '--prefix', 'fight', '--data', cluster.dataOf(code)]
  const { status, stdout, stderr } = spawnSync(process.execPath, [...process.execArgv, command, ...words], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  })
  if (status !== 0) throw new Error(`meridian conflicts list: ${stderr}`)
  return stdout.split('\n').filter((line) => line !== '')
}

const fighting: Check = {
  name: 'keys that all regions overwrite at once, again and again: one winner everywhere, and the losers are listed',
  async run(cluster, iterations) {
    const stores = storesOf(cluster)
    const written = new Map<string, Set<string>>()
    const outcome = await repeat(iterations * 10, stores.length, async (index) => {
      const key = `fight-${index % 50}`
      const bodies = stores.map(({ region }) => `${index} by ${region}`)
      const known = written.get(key) ?? new Set()
      written.set(key, known)
      for (const body of bodies) known.add(body)
      await Promise.all(stores.map((store, at) => store.put(key, bodies[at] ?? '')))
      return undefined
    })
    for (const [key, bodies] of written) {
      const { failure } = await settles(
        async () => {
          const seen = new Set(await Promise.all(stores.map((store) => store.get(key))))
          return seen.size === 1 ? [...seen][0] : 'different'
        },
        (seen) => bodies.has(seen ?? ''),
        0,
      )
      if (failure !== undefined) outcome.failures.push(`${key} ${failure}`)
    }
    const lost = cluster.codes.map((code) => lostIn(cluster, code))
    const [first = []] = lost
    for (const [index, each] of lost.entries()) {
      const same = each.length === first.length && each.every((line, at) => line === first[at])
      if (!same)
        outcome.failures.push(`${cluster.codes[index]} lists ${each.length} losers, not the same ${first.length}`)
    }
    if (first.length === 0) outcome.failures.push('no loser is listed')
    return { ...outcome, note: `${first.length} losers are listed, the same in all regions` }
  },
}

/** The shapes of what others check of such stores, and what they leave out. */
export const consistencyChecks: readonly Check[] = [
  within('a write is seen at once in its region', (store, key) => store.put(key, key)),
  within('an overwrite is seen at once in its region', async (store, key) => {
    await store.put(key, 'before')
    return await store.put(key, key)
  }),
  within('a deletion is seen at once in its region', async (store, key) => {
    await store.put(key, key)
    await store.delete(key)
    return undefined
  }),
  across('a write is seen in other regions', (store, key) => store.put(key, key)),
  across('an overwrite is seen in other regions', async (store, key) => {
    await store.put(key, 'before')
    return await store.put(key, key)
  }),
  across('a deletion is seen in other regions', async (store, key, other) => {
    const etag = await store.put(key, key)
    await settles(
      () => other.head(key),
      (seen) => seen === etag,
    )
    await store.delete(key)
    return undefined
  }),
  together('two regions that write at once agree', false),
  within('a consistent write is seen at once by a consistent read', (store, key) => store.put(key, key), true),
  {
    name: 'a consistent write is seen at once by a consistent read in another region',
    run(cluster, iterations) {
      const stores = storesOf(cluster, true)
      return repeat(iterations, 2, async (index) => {
        const [one, other] = pairOf(stores, index)
        const key = newKey('consistent')
        const etag = await one.put(key, key)
        const seen = await other.head(key)
        return seen === etag ? undefined : `${one.region} to ${other.region}: ${seen}`
      })
    },
  },
  together('two regions that write consistently at once agree at once', true),
  listing,
  creating,
  versions,
  fighting,
]
