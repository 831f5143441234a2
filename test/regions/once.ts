import { createHash } from 'node:crypto'
import { ListObjectVersionsCommand, type ListObjectVersionsCommandOutput, type S3Client } from '@aws-sdk/client-s3'
import { makeBucket } from './buckets.ts'
import { wait } from './check.ts'
import type { Cluster } from './cluster.ts'
import type { Companion } from './faults.ts'
import { isRefusal, Store } from './s3.ts'
import type { Phase } from './writers.ts'

const keysEach = 4
const writersEach = 4
/** How long regions have to come to an agreement, in milliseconds. */
const agreementMost = 60_000
const etagOf = (body: string): string => `"${createHash('md5').update(body).digest('hex')}"`

/** ETags of all versions below a prefix. */
async function versionsIn(client: S3Client, bucket: string, prefix: string): Promise<readonly string[]> {
  const found: string[] = []
  let [key, version]: (string | undefined)[] = []
  do {
    const page: ListObjectVersionsCommandOutput = await client.send(
      new ListObjectVersionsCommand({ Bucket: bucket, Prefix: prefix, KeyMarker: key, VersionIdMarker: version }),
    )
    for (const each of page.Versions ?? []) found.push(`${each.Key} ${each.ETag}`)
    key = page.NextKeyMarker
    version = page.NextVersionIdMarker
  } while (key !== undefined)
  return found
}

/** A number that clients of one region draw, each once. */
interface Count {
  next: number
}

/**
 * Writes every body once, into a bucket that keeps versions: a commit that was made twice left two of it. What was answered must be
 * there once, in each region, and what was not at most once.
 */
class OnceWriter implements Companion {
  readonly #cluster: Cluster
  readonly #store: Store
  readonly #bucket: string
  readonly #region: string
  readonly #acknowledged = new Set<string>()
  readonly #unknown = new Set<string>()
  #made = 0

  constructor(cluster: Cluster, region: string, bucket: string) {
    this.#cluster = cluster
    this.#region = region
    this.#bucket = bucket
    this.#store = new Store(region, cluster.client(region), bucket)
  }

  get note(): string {
    const { size } = this.#unknown
    return `${this.#region}: ${this.#acknowledged.size} written once, ${size} without an answer, of which ${this.#made} were made once`
  }

  async work(phase: Phase): Promise<void> {
    const count: Count = { next: 0 }
    await Promise.all(Array.from({ length: writersEach }, () => this.#write(phase, count)))
  }

  async #write(phase: Phase, count: Count): Promise<void> {
    while (!phase.isOver) {
      const number = count.next++
      const key = `${this.#region}-${number % keysEach}`
      const name = `${key} ${etagOf(`${key} ${number}`)}`
      try {
        await this.#store.put(key, `${key} ${number}`)
        this.#acknowledged.add(name)
      } catch (error) {
        if (isRefusal(error)) throw error
        this.#unknown.add(name)
        await wait(100)
      }
    }
  }

  async verify(): Promise<readonly string[]> {
    const wrong = await Promise.all(this.#cluster.codes.map((code) => this.#verify(code)))
    return wrong.flat()
  }

  async #verify(code: string): Promise<readonly string[]> {
    const deadline = performance.now() + agreementMost
    for (;;) {
      const found = await versionsIn(this.#cluster.client(code), this.#bucket, `${this.#region}-`).catch(String)
      const [seen, twice] = [new Set<string>(), new Set<string>()]
      for (const each of typeof found === 'string' ? [] : found) (seen.has(each) ? twice : seen).add(each)
      const missing = [...this.#acknowledged].filter((each) => !seen.has(each))
      const strange = [...seen].filter((each) => !this.#acknowledged.has(each) && !this.#unknown.has(each))
      this.#made = [...this.#unknown].filter((each) => seen.has(each)).length
      // What is there twice does not go again.
      const isOver = twice.size > 0 || strange.length > 0 || performance.now() > deadline
      if (typeof found !== 'string' && missing.length === 0 && !isOver) return []
      if (isOver) {
        return [
          ...(typeof found === 'string' ? [`${code}: ${found}`] : []),
          ...[...twice].map((each) => `${code}: ${each} was made twice`),
          ...strange.map((each) => `${code}: nobody wrote ${each}`),
          ...missing.map((each) => `${code}: ${each} is not there`),
        ]
      }
      await wait(500)
    }
  }
}

/** Companions of a check that is under faults: they see whether anything happens twice. */
export const onceIn =
  (bucket: string): ((cluster: Cluster) => Promise<readonly Companion[]>) =>
  async (cluster) => {
    await makeBucket(cluster, cluster.codes[0] ?? '', bucket, { isVersioned: true })
    return cluster.codes.map((code) => new OnceWriter(cluster, code, bucket))
  }
