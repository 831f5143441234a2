import type { CloudSource } from '#src/cloud/endpoint.ts'
import { S3Source } from '#src/cloud/s3-source.ts'
import { openSecret, sealSecret } from '#src/encryption/sealed-secret.ts'
import { Fault } from '#src/errors.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { SealedSecret } from '#src/model/encryption.ts'
import type { Shadow, ShadowOptions } from '#src/model/shadow.ts'
import type { Reach } from '#src/webhook/addresses.ts'
import { checkNumber, judgedLookup } from '#src/webhook/reach.ts'
import type { Foundation } from './foundation.ts'

const beyond = (host: string): Error => new Error(`${host} is beyond --shadow-endpoints`)

/** A shadow's bucket keeps its connections until another has taken its place, or nobody asked it for so long. */
const sourcesMost = 64

const contextOf = (bucketId: number): Uint8Array => Buffer.from(JSON.stringify(['meridian shadow', bucketId]))

/**
 * The stores that buckets have for shadows.
 *
 * V6  a shadow's secret lies in the metadata sealed by the store's own keys, bound to its bucket, and is told to nobody.
 * V7  no shadow is asked at an address beyond the reach that was configured, however a name leads to it.
 */
export class ShadowSources {
  readonly #foundation: Foundation
  readonly #reach: Reach
  readonly #open = new Map<string, Promise<CloudSource>>()

  constructor(foundation: Foundation, reach: Reach) {
    this.#foundation = foundation
    this.#reach = reach
  }

  #own() {
    const { keys } = this.#foundation
    if (keys === undefined) throw new Error('a store that was opened without keys')
    return keys.own
  }

  async seal(bucketId: number, secret: string): Promise<SealedSecret> {
    const random = (size: number) => this.#foundation.world.randomBytes(size)
    return await sealSecret(this.#own(), Buffer.from(secret), contextOf(bucketId), random)
  }

  /** Fault `InvalidArgument` of what can be no shadow; whether it answers is another question. */
  check({ endpoint, region, name, accessKey, secretKey }: ShadowOptions): void {
    const refused = (field: string, message: string) =>
      new Fault('InvalidArgument', { message, ArgumentName: `shadow_bucket.${field}` })
    if (!/^https?:\/\/[^/?#\s@]+\/?$/.test(endpoint) || !URL.canParse(endpoint)) {
      throw refused('endpoint', 'A shadow endpoint is a URL with a host and no path, such as https://s3.example.com.')
    }
    checkNumber(new URL(endpoint), this.#reach, (host) =>
      refused('endpoint', `${host} is beyond what --shadow-endpoints allows.`),
    )
    if (!/^[\x21-\x7e]{1,64}$/.test(region)) throw refused('region', 'A shadow needs a region, such as auto.')
    if (!/^[A-Za-z0-9._-]{3,255}$/.test(name)) throw refused('name', 'A shadow needs the name of its bucket.')
    if (!/^[\x21-\x7e]{1,256}$/.test(accessKey)) throw refused('access_key', 'A shadow needs an access key.')
    if (!/^[\x21-\x7e]{1,256}$/.test(secretKey)) throw refused('secret_key', 'A shadow needs a secret key.')
  }

  /** Kept from one request to the next. */
  async of({ id: bucketId }: Bucket, shadow: Shadow): Promise<CloudSource> {
    const known = this.#open.get(shadow.id)
    if (known !== undefined) return await known
    const opening = this.#connect(bucketId, shadow)
    this.#open.set(shadow.id, opening)
    opening.catch(() => this.#open.delete(shadow.id))
    const [oldest] = this.#open.keys()
    if (this.#open.size > sourcesMost && oldest !== undefined) this.#open.delete(oldest)
    return await opening
  }

  async #connect(bucketId: number, shadow: Shadow): Promise<CloudSource> {
    const { endpoint, region, accessKey, secret, name } = shadow
    checkNumber(new URL(endpoint), this.#reach, beyond)
    const secretKey = Buffer.from(await openSecret(this.#own(), secret, contextOf(bucketId))).toString()
    const lookup = judgedLookup(this.#reach, beyond)
    return new S3Source({ endpoint, region, accessKey, secretKey, bucket: name, forcePathStyle: true, lookup })
  }

  async close(): Promise<void> {
    const all = [...this.#open.values()]
    this.#open.clear()
    for (const source of await Promise.allSettled(all)) if (source.status === 'fulfilled') source.value.close()
  }
}
