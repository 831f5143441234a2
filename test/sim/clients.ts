import { Fault } from '#src/errors.ts'
import type { Acl } from '#src/model/access.ts'
import { formatStamp, type Stamp } from '#src/model/stamp.ts'
import type { ObjectAttributes } from '#src/model/upload.ts'
import type { CellObjects } from '#src/service/objects.ts'
import type { Body, Read } from '#src/service/services.ts'
import { StoreError } from '#src/store/store.ts'
import type { Chance } from './chance.ts'
import { type Ledger, Violation } from './ledger.ts'
import type { Timeline } from './timeline.ts'

/** Of the buckets that every simulation has; ids are those of the namespace. */
export const buckets = [
  { name: 'plain', id: 1, versioning: 'off' },
  { name: 'kept', id: 2, versioning: 'enabled' },
  { name: 'paused', id: 3, versioning: 'suspended' },
] as const

type Bucket = (typeof buckets)[number]

export const owner = 'owner'
export const acl: Acl = {
  owner,
  grants: [{ grantee: { kind: 'account', id: owner, displayName: '' }, permission: 'FULL_CONTROL' }],
}
const attributes: ObjectAttributes = { owner, acl, headers: {}, metadata: new Map(), storageClass: 'STANDARD' }
const guard = (): void => {}

function bodyOf(bytes: Uint8Array): Body {
  return {
    length: bytes.length,
    async *stream() {
      yield bytes
    },
    pieces: async () => [bytes],
  }
}

async function bytesOf({ bytes }: Read): Promise<Uint8Array> {
  if (bytes instanceof Uint8Array) return bytes
  const chunks: Uint8Array[] = []
  for await (const chunk of bytes) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

export interface ClientParts {
  readonly cell: number
  readonly timeline: Timeline
  readonly chance: Chance
  readonly ledger: Ledger
  /** The services of the region, while it lives. */
  readonly objects: () => CellObjects | undefined
}

const weights = {
  put: 34,
  get: 24,
  delete: 10,
  deleteVersion: 6,
  copy: 7,
  rename: 3,
  tag: 6,
  create: 5,
  replace: 5,
} as const

const keyCount = 10
const patience = 20_000

/** Somebody who works in one region, one request after another, on keys that everybody else works on too. */
export class Client {
  acknowledged = 0
  refused = 0
  unknown = 0
  readonly #parts: ClientParts
  #written = 0

  constructor(parts: ClientParts) {
    this.#parts = parts
  }

  async work(operations: number): Promise<void> {
    const { timeline, chance } = this.#parts
    for (let count = 0; count < operations; count++) {
      await timeline.sleep(chance.between(0, 30))
      await this.#once()
    }
  }

  async #once(): Promise<void> {
    const { timeline, objects } = this.#parts
    const region = objects()
    if (region === undefined) {
      this.refused++
      await timeline.sleep(200)
      return
    }
    // A region that dies with the request in hand never answers.
    const silence = timeline.sleep(patience).then(() => 'silence' as const)
    try {
      const outcome = await Promise.race([this.#do(region), silence])
      if (outcome === 'silence') this.unknown++
      else this.acknowledged++
    } catch (error) {
      if (error instanceof Violation) throw error
      if (error instanceof Fault && isAnswer(error)) this.acknowledged++
      else if (error instanceof Fault) this.refused++
      else if (error instanceof StoreError) this.unknown++
      else throw error
    }
  }

  async #do(objects: CellObjects): Promise<void> {
    const { chance } = this.#parts
    const bucket = chance.pick(buckets)
    const name = { bucket: bucket.name, key: `k${chance.below(keyCount)}` }
    switch (chance.weighted(weights)) {
      case 'put':
        await objects.put({ ...this.#draft(), name, conditions: {} })
        break
      case 'create':
        await objects.put({ ...this.#draft(), name, conditions: { ifNoneMatch: ['*'] } })
        break
      case 'replace': {
        const { version } = await objects.find({ name, guard })
        await objects.put({ ...this.#draft(), name, conditions: { ifMatch: [version.etag] } })
        break
      }
      case 'get':
        await this.#get(objects, bucket, name.key)
        break
      case 'delete':
        await objects.delete({ name, guard, conditions: {}, bypassGovernance: false, caller: owner })
        break
      case 'deleteVersion':
        await this.#deleteVersion(objects, bucket, name.key)
        break
      case 'copy': {
        const source = { name: { bucket: bucket.name, key: `k${chance.below(keyCount)}` }, guard, conditions: {} }
        await objects.copy({ source, name, attributes: () => attributes, conditions: {}, guard })
        break
      }
      case 'rename': {
        const target = { bucket: bucket.name, key: `k${chance.below(keyCount)}` }
        if (target.key === name.key) break
        const conditions = {}
        await objects.rename({ source: name, target, conditions, sourceConditions: {}, guard, sourceGuard: guard })
        break
      }
      case 'tag': {
        const tags = new Map([['mark', `${this.#parts.cell}-${this.#written++}`]])
        await objects.update({ name, guard, change: () => ({ tags }) })
        break
      }
    }
  }

  #draft() {
    const { cell, chance } = this.#parts
    const size = chance.pick([10, 10, 40, 400])
    const bytes = Buffer.alloc(size, `${cell}/${this.#written++}/${chance.below(1e9)};`)
    return { attributes, body: bodyOf(bytes), digests: {}, guard }
  }

  /** What is read is what was written under the stamp that it comes with. */
  async #get(objects: CellObjects, bucket: Bucket, key: string): Promise<void> {
    const read = await objects.get({ name: { bucket: bucket.name, key }, guard, conditions: {} })
    const bytes = await bytesOf(read)
    const { version } = read
    const birth = this.#parts.ledger.birthsOf(bucket.id, key, version.isNull ? 0n : version.stamp).get(version.stamp)
    if (birth === undefined) throw new Violation(`${key} was read at ${version.stamp}, which nobody wrote`)
    if (birth.bytes !== undefined && Buffer.compare(birth.bytes, bytes) !== 0) {
      throw new Violation(`${key} at ${version.stamp} was read with other bytes than were written`)
    }
  }

  async #deleteVersion(objects: CellObjects, bucket: Bucket, key: string): Promise<void> {
    const { chance, ledger } = this.#parts
    const stamps: Stamp[] = []
    for (const [name, births] of ledger.births) {
      const [id, slot, ...rest] = name.split(' ')
      if (Number(id) === bucket.id && slot !== '0' && rest.join(' ') === key) stamps.push(...births.keys())
    }
    const versionId = stamps.length === 0 || chance.happens(0.2) ? 'null' : formatStamp(chance.pick(stamps))
    const name = { bucket: bucket.name, key }
    const conditions = {}
    await objects.delete({ name, versionId, guard, conditions, bypassGovernance: false, caller: owner })
  }
}

/** Refusals that say what stands, and so are as good an answer as any. */
const answers: ReadonlySet<string> = new Set(['NoSuchKey', 'NoSuchVersion', 'PreconditionFailed', 'MethodNotAllowed'])
const isAnswer = ({ code }: Fault): boolean => answers.has(code)
