import { createHash } from 'node:crypto'
import { makeBucket } from './buckets.ts'
import { type Check, repeat, settles } from './check.ts'
import type { Cluster } from './cluster.ts'
import { isRefusal, Store } from './s3.ts'

const bucket = 'fights'
const keys = 50
const acknowledgedLeast = 0.8

interface Loser {
  readonly key: string
  readonly id: string
  readonly etag: string
}

/** What `meridian conflicts list` says beside a running region. */
async function losersIn(cluster: Cluster, code: string): Promise<readonly string[]> {
  const said = await cluster.meridian(code, 'conflicts', 'list', '--json', '--bucket', bucket)
  return said.split('\n').filter((line) => line !== '')
}

const etagOf = (body: string): string => createHash('md5').update(body).digest('hex')

/** What is wrong with the lists of all regions, given who wrote what and what stands. */
function complaints(
  lists: ReadonlyMap<string, readonly string[]>,
  written: ReadonlyMap<string, ReadonlySet<string>>,
  standing: ReadonlyMap<string, string>,
): string[] {
  const [first = []] = lists.values()
  const found: string[] = []
  for (const [code, each] of lists) {
    const isSame = each.length === first.length && each.every((line, at) => line === first[at])
    if (!isSame) found.push(`${code} lists ${each.length} losers, not the same ${first.length}`)
  }
  if (first.length === 0) found.push('no loser is listed')
  const ids = new Set<string>()
  for (const { key, id, etag } of first.map((line) => JSON.parse(line) as Loser)) {
    if (ids.has(`${key} ${id}`)) found.push(`${key} ${id} is listed twice`)
    ids.add(`${key} ${id}`)
    const digest = etag.replaceAll('"', '')
    if (written.get(key)?.has(digest) !== true) found.push(`${key}: a loser that nobody wrote`)
    if (standing.get(key) === digest) found.push(`${key}: the winner is listed as a loser`)
  }
  return found
}

/** Keys that all regions overwrite at once, again and again. */
export const fighting: Check = {
  name: 'keys that all regions overwrite at once, again and again: one winner everywhere, and the losers are listed',
  async run(cluster, { iterations }) {
    const [root = ''] = cluster.codes
    await makeBucket(cluster, root, bucket)
    const stores = cluster.codes.map((code) => new Store(code, cluster.client(code), bucket))
    const written = new Map<string, Set<string>>()
    let acknowledged = 0
    const outcome = await repeat(iterations * 10, stores.length, async (index) => {
      const key = `fight-${index % keys}`
      const bodies = stores.map(({ region }) => `${index} by ${region}`)
      const known = written.get(key) ?? new Set()
      written.set(key, known)
      for (const body of bodies) known.add(etagOf(body))
      const done = await Promise.allSettled(stores.map((store, at) => store.put(key, bodies[at] ?? '')))
      for (const each of done) {
        if (each.status === 'fulfilled') acknowledged++
        else if (isRefusal(each.reason)) throw each.reason
      }
      return undefined
    })
    const standing = new Map<string, string>()
    for (const [key, digests] of written) {
      const { failure } = await settles(
        async () => {
          const seen = new Set(await Promise.all(stores.map((store) => store.get(key))))
          return seen.size === 1 ? [...seen][0] : 'different'
        },
        (seen) => seen !== undefined && digests.has(etagOf(seen)),
        { watched: 0 },
      )
      if (failure !== undefined) outcome.failures.push(`${key} ${failure}`)
      standing.set(key, etagOf((await stores[0]?.get(key)) ?? ''))
    }
    // What loses travels before its winner, but not every cell had it as the last.
    let lists: ReadonlyMap<string, readonly string[]> = new Map()
    await settles(
      async () => {
        const found = cluster.codes.map(async (code) => [code, await losersIn(cluster, code)] as const)
        lists = new Map(await Promise.all(found))
        return complaints(lists, written, standing)
      },
      (found) => found.length === 0,
      { within: 10_000, watched: 0 },
    )
    outcome.failures.push(...complaints(lists, written, standing))
    // Of the others nobody knows what became of them.
    const all = outcome.operations
    if (acknowledged < acknowledgedLeast * all)
      outcome.failures.push(`only ${acknowledged} of ${all} were acknowledged`)
    const [first = []] = lists.values()
    return {
      ...outcome,
      note: `${acknowledged} acknowledged; ${first.length} losers are listed, the same in all regions`,
    }
  },
}
