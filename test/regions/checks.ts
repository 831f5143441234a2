import { createHash } from 'node:crypto'
import { ListObjectsV2Command, ListObjectVersionsCommand } from '@aws-sdk/client-s3'
import { makeBucket } from './buckets.ts'
import { type Check, noteOf, repeat, settles } from './check.ts'
import type { Cluster } from './cluster.ts'
import { isConditionFailed, newKey, padded, type Seen, Store } from './s3.ts'

const bucket = 'checks'
const versioned = 'versions'

export async function prepare(cluster: Cluster): Promise<void> {
  const home = cluster.codes.at(-1) ?? ''
  await makeBucket(cluster, home, bucket)
  await makeBucket(cluster, home, versioned, { isVersioned: true })
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

/** Every fourth is too large to lie beside its record, and is fetched. */
const bodyOf = (key: string, index: number): string => (index % 4 === 3 ? padded(key) : key)

/** What a key is left with. */
type Left = string | undefined

const etagOf = (body: Left): Seen =>
  body === undefined ? undefined : `"${createHash('md5').update(body).digest('hex')}"`

interface Deed {
  readonly name: string
  /** Gives what then stands. */
  act(store: Store, key: string, body: string, other: Store): Promise<Left>
}

/** Something happens in one region, and is seen at once by whoever must see it at once, and from then on. */
const atOnce = ({ name, act }: Deed, where: { readonly isConsistent: boolean; readonly isOther: boolean }): Check => ({
  name,
  run: (cluster, { iterations }) => {
    const stores = storesOf(cluster, where.isConsistent)
    return repeat(iterations, 13, async (index) => {
      const [one, other] = pairOf(stores, index)
      const reader = where.isOther ? other : one
      const key = newKey('at-once')
      const left = await act(one, key, bodyOf(key, index), other)
      const { failure } = await settles(
        () => reader.head(key),
        (seen) => seen === etagOf(left),
        { within: 0 },
      )
      if (failure !== undefined) return `${one.region} to ${reader.region}: ${failure}`
      return (await reader.get(key)) === left ? undefined : `${reader.region}: other bytes than ${one.region} was given`
    })
  },
})

/** Something happens in one region, and is seen in another one soon, and from then on. */
const across = ({ name, act }: Deed): Check => ({
  name,
  async run(cluster, { iterations }) {
    const stores = storesOf(cluster)
    const times: number[] = []
    const outcome = await repeat(iterations, 13, async (index) => {
      const [one, other] = pairOf(stores, index)
      const key = newKey('across')
      const left = await act(one, key, bodyOf(key, index), other)
      const { milliseconds, failure } = await settles(
        () => other.head(key),
        (seen) => seen === etagOf(left),
      )
      times.push(milliseconds)
      if (failure !== undefined) return `${one.region} to ${other.region}: ${failure}`
      return (await other.get(key)) === left ? undefined : `${other.region}: other bytes than ${one.region} was given`
    })
    return { ...outcome, note: noteOf(times) }
  },
})

/** Two regions write one key at once: all end with the same bytes, which one of the two was given. */
const together = (name: string, isConsistent: boolean): Check => ({
  name,
  run(cluster, { iterations }) {
    const stores = storesOf(cluster, isConsistent)
    return repeat(iterations, 10, async (index) => {
      const [one, other] = pairOf(stores, index)
      const key = newKey('together')
      const bodies = [bodyOf(`${key} by ${one.region}`, index), bodyOf(`${key} by ${other.region}`, index)]
      await Promise.all([one.put(key, bodies[0] ?? ''), other.put(key, bodies[1] ?? '')])
      const winners = new Set<Seen>()
      const { failure } = await settles(
        async () => {
          const seen = await Promise.all(stores.map((store) => store.get(key)))
          return new Set(seen).size === 1 ? seen[0] : `different: ${seen.map((each) => each?.slice(0, 60)).join(' | ')}`
        },
        (seen) => {
          const isOne = bodies.includes(seen ?? '')
          if (isOne) winners.add(seen)
          return isOne
        },
        isConsistent ? { within: 0 } : {},
      )
      return failure ?? (winners.size === 1 ? undefined : 'first the one won and then the other')
    })
  },
})

const isListed = async (cluster: Cluster, code: string, key: string): Promise<boolean> => {
  const { Contents = [] } = await cluster.client(code).send(new ListObjectsV2Command({ Bucket: bucket, Prefix: key }))
  return Contents.length === 1 && Contents[0]?.Key === key
}

const listing: Check = {
  name: 'a list tells of a write and of a deletion at once in its region, and soon in the others',
  async run(cluster, { iterations }) {
    const stores = storesOf(cluster)
    return await repeat(iterations, 26, async (index) => {
      const [one, other] = pairOf(stores, index)
      const key = newKey('list')
      for (const isThere of [true, false]) {
        if (isThere) await one.put(key, key)
        else await one.delete(key)
        if ((await isListed(cluster, one.region, key)) !== isThere) return `${one.region}: listed: ${!isThere}`
        const { failure } = await settles(
          () => isListed(cluster, other.region, key),
          (seen) => seen === isThere,
        )
        if (failure !== undefined) return `${other.region}: listed: ${failure}`
      }
      return undefined
    })
  },
}

/** Of several that may only create the key, one succeeds. */
const creating = (name: string, isConsistent: boolean): Check => ({
  name,
  run(cluster, { iterations }) {
    const stores = storesOf(cluster, isConsistent)
    return repeat(iterations, 4, async (index) => {
      const [local] = pairOf(stores, index)
      const writers = isConsistent ? stores : [local, local, local]
      const key = newKey('create')
      const bodies = writers.map((store, at) => `${store.region} ${at}`)
      const done = await Promise.allSettled(
        writers.map((store, at) => store.put(key, bodies[at] ?? '', { IfNoneMatch: '*' })),
      )
      const lost = done.find((each) => each.status === 'rejected' && !isConditionFailed(each.reason))
      if (lost?.status === 'rejected') throw lost.reason
      const winners = done.flatMap(({ status }, at) => (status === 'fulfilled' ? [bodies[at]] : []))
      if (winners.length !== 1) return `${winners.length} succeeded: ${winners.join(', ')}`
      const stands = await local.get(key)
      return stands === winners[0] ? undefined : `${winners[0]} succeeded, and ${stands} stands`
    })
  },
})

/** A number that clients in all regions, or in one, count up by reading it and writing the next one if it still stands. */
const counting = (name: string, isConsistent: boolean): Check => ({
  name,
  async run(cluster, { iterations }) {
    const stores = storesOf(cluster, isConsistent)
    const rounds = Math.ceil(iterations / 50)
    let [done, refused] = [0, 0]
    const outcome = await repeat(rounds, 0, async (index) => {
      const [local] = pairOf(stores, index)
      const clients = isConsistent ? stores : [local, local, local]
      const key = newKey('count')
      await local.put(key, '0')
      let counted = 0
      const count = async (store: Store): Promise<void> => {
        for (let turn = 0; turn < 10; turn++) {
          const { body = '', etag = '' } = (await store.getTagged(key)) ?? {}
          const isDone = await store.replace(key, etag, String(Number(body) + 1))
          if (isDone) counted++
          else refused++
        }
      }
      await Promise.all(clients.map(count))
      done += counted
      const stands = await local.get(key)
      return stands === String(counted) ? undefined : `${counted} were counted, and ${stands} stands`
    })
    // Where none is refused, they have not met.
    if (refused === 0) outcome.failures.push('no two of them met')
    return { ...outcome, operations: 2 * (done + refused), note: `${done} counted, ${refused} refused` }
  },
})

const versions: Check = {
  name: 'versions written in all regions at once are all there, in one order',
  run(cluster, { iterations }) {
    const list = async (code: string, key: string): Promise<Seen> => {
      const { Versions = [] } = await cluster
        .client(code)
        .send(new ListObjectVersionsCommand({ Bucket: versioned, Prefix: key }))
      return Versions.map(({ VersionId, ETag }) => `${VersionId} ${ETag}`).join(', ')
    }
    const stores = cluster.codes.map((code) => new Store(code, cluster.client(code), versioned))
    return repeat(iterations, 12, async () => {
      const key = newKey('version')
      await Promise.all(stores.map((store) => store.put(key, store.region)))
      const { failure } = await settles(
        async () => {
          const lists = await Promise.all(cluster.codes.map((code) => list(code, key)))
          return new Set(lists).size === 1 ? lists[0] : `different: ${lists.join(' | ')}`
        },
        (seen) =>
          seen?.startsWith('different') === false && stores.every(({ region }) => seen.includes(etagOf(region) ?? '')),
      )
      return failure
    })
  },
}

const wrote = async (store: Store, key: string, body: string): Promise<Left> => {
  await store.put(key, body)
  return body
}

const overwrote = async (store: Store, key: string, body: string): Promise<Left> => {
  await store.put(key, `before ${body}`)
  return await wrote(store, key, body)
}

const deleted = async (store: Store, key: string, body: string): Promise<Left> => {
  await store.put(key, body)
  await store.delete(key)
  return undefined
}

/** What another region has is deleted. */
const deletedEverywhere = async (store: Store, key: string, body: string, other: Store): Promise<Left> => {
  const etag = await store.put(key, body)
  await settles(
    () => other.head(key),
    (seen) => seen === etag,
    { watched: 0 },
  )
  await store.delete(key)
  return undefined
}

const here = { isConsistent: false, isOther: false }
const consistentHere = { isConsistent: true, isOther: false }
const consistentElsewhere = { isConsistent: true, isOther: true }

/** The shapes of what others check of such stores, and what they leave out. */
export const consistencyChecks: readonly Check[] = [
  atOnce({ name: 'a write is seen at once in its region', act: wrote }, here),
  atOnce({ name: 'an overwrite is seen at once in its region', act: overwrote }, here),
  atOnce({ name: 'a deletion is seen at once in its region', act: deleted }, here),
  across({ name: 'a write is seen in other regions', act: wrote }),
  across({ name: 'an overwrite is seen in other regions', act: overwrote }),
  across({ name: 'a deletion is seen in other regions', act: deletedEverywhere }),
  together('two regions that write at once agree', false),
  atOnce({ name: 'a consistent write is seen at once by a consistent read', act: wrote }, consistentHere),
  atOnce(
    { name: 'a consistent write is seen at once by a consistent read in another region', act: wrote },
    consistentElsewhere,
  ),
  atOnce(
    { name: 'a consistent deletion is seen at once by a consistent read in another region', act: deleted },
    consistentElsewhere,
  ),
  together('two regions that write consistently at once agree at once', true),
  listing,
  creating('of writes that must create a key, in one region at once, one succeeds', false),
  creating('of consistent writes that must create a key, in all regions at once, one succeeds', true),
  counting('a number that clients of one region count up under a condition loses nothing', false),
  counting('a number that clients of all regions count up consistently under a condition loses nothing', true),
  versions,
]
