import { Fault } from '#src/errors.ts'
import type { Namespace } from '#src/metadata/namespace.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { isHostName } from '#src/model/content-host.ts'
import type { Store, Transaction } from '#src/store/store.ts'
import type { World } from '#src/world.ts'

/** For so long a process may answer under a name as it was. */
const keptMilliseconds = 1_000
const keptMost = 10_000

/** Host names that buckets answer to. */
export interface Domains {
  /** The bucket of a host name, if it has one. Cheap: what was found, or not, is kept for a second. */
  bucketOf(host: string): Promise<string | undefined> | string | undefined
  /** Gives a bucket a host name, another one, or none. Throws EntityAlreadyExists where another bucket has it, InvalidArgument. */
  set(name: string, domain: string | undefined, guard: (bucket: Bucket) => void): Promise<Bucket>
  /** In a transaction of the caller's, which has read the bucket: as `set`. */
  setIn(transaction: Transaction, bucket: Bucket, domain: string | undefined): Promise<Bucket>
}

/**
 * V13 a host name is one bucket's at a time; it goes with its bucket.
 */
export class NamespaceDomains implements Domains {
  readonly #store: Store
  readonly #world: World
  readonly #namespace: Namespace
  readonly #reserved: readonly string[]
  readonly #known = new Map<string, { readonly at: number; readonly bucket: string | undefined }>()

  /** `reserved`: domains that are the server's own, and all below them. */
  constructor(
    { store, world, namespace }: { readonly store: Store; readonly world: World; readonly namespace: Namespace },
    reserved: readonly string[],
  ) {
    this.#store = store
    this.#world = world
    this.#namespace = namespace
    this.#reserved = [...reserved, 'localhost'].map((each) => each.toLowerCase())
  }

  bucketOf(host: string): Promise<string | undefined> | string | undefined {
    const known = this.#known.get(host)
    if (known !== undefined && this.#world.monotonic() - known.at < keptMilliseconds) return known.bucket
    return this.#look(host)
  }

  async #look(host: string): Promise<string | undefined> {
    if (!isHostName(host)) return undefined
    const bucket = await this.#store.snapshot((snapshot) => this.#namespace.bucketOfDomain(snapshot, host))
    if (this.#known.size >= keptMost) this.#known.clear()
    this.#known.set(host, { at: this.#world.monotonic(), bucket })
    return bucket
  }

  async set(name: string, domain: string | undefined, guard: (bucket: Bucket) => void): Promise<Bucket> {
    const changed = await this.#store.transact(async (transaction) => {
      const bucket = await this.#namespace.existingBucket(transaction, name)
      guard(bucket)
      return await this.setIn(transaction, bucket, domain)
    })
    this.#known.clear()
    return changed
  }

  async setIn(transaction: Transaction, bucket: Bucket, text: string | undefined): Promise<Bucket> {
    const domain = text?.toLowerCase()
    if (domain !== undefined) this.#check(domain)
    if (bucket.domain === domain) return bucket
    const other = domain === undefined ? undefined : await this.#namespace.bucketOfDomain(transaction, domain)
    if (other !== undefined) throw new Fault('EntityAlreadyExists', { message: 'Another bucket has this domain.' })
    return this.#namespace.changeDomain(transaction, bucket, domain)
  }

  #check(domain: string): void {
    if (!isHostName(domain)) throw refused(domain, 'A domain is a host name such as files.example.com.')
    const isOwn = this.#reserved.some((each) => domain === each || domain.endsWith(`.${each}`))
    if (isOwn) throw refused(domain, "That domain is the server's own.")
  }
}

const refused = (domain: string, message: string): Fault =>
  new Fault('InvalidArgument', { message, ArgumentName: 'website.domain_name', ArgumentValue: domain })
