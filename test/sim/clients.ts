import { Fault } from '#src/errors.ts'
import type { Conditions } from '#src/model/conditions.ts'
import { formatStamp, type Stamp } from '#src/model/stamp.ts'
import { type ObjectVersion, restrictionOf } from '#src/model/version.ts'
import { StoreError } from '#src/store/store.ts'
import { Violation } from './births.ts'
import type { Chance } from './chance.ts'
import type { Cluster } from './cluster.ts'
import { anyKey, attributes, bodyOf, buckets, bytesOf, guard, md5Of, owner, type SimulatedBucket } from './content.ts'
import type { Ledger } from './ledger.ts'
import { checkObjects, checkVersions } from './listing-check.ts'
import type { Naming } from './naming.ts'
import { cellsIn } from './places.ts'
import type { Region, RegionServices } from './region.ts'
import type { Timeline } from './timeline.ts'
import { upload } from './uploading.ts'

export interface ClientParts {
  /** Whose services are there while it lives. */
  readonly region: Region
  readonly timeline: Timeline
  readonly chance: Chance
  readonly ledger: Ledger
  readonly cluster: Cluster
  readonly naming: Naming
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
  deleteIf: 3,
  upload: 4,
  list: 4,
  restore: 2,
} as const

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

  get region(): Region {
    return this.#parts.region
  }

  async work(operations: number): Promise<void> {
    const { timeline, chance } = this.#parts
    for (let count = 0; count < operations; count++) {
      await timeline.sleep(chance.between(0, 30))
      await this.#once()
    }
  }

  async #once(): Promise<void> {
    const { timeline, cluster, chance } = this.#parts
    const bucket = chance.pick(buckets)
    const region = cluster.standIn(this.#parts.region, chance)
    const serving = region.isUp ? this.#serving(region, bucket) : undefined
    const services = serving?.services
    if (serving === undefined || services === undefined) {
      this.refused++
      await timeline.sleep(200)
      return
    }
    // A region that dies with the request in hand never answers.
    const silence = timeline.sleep(patience).then(() => 'silence' as const)
    try {
      const outcome = await Promise.race([this.#do(serving, services, bucket), silence])
      if (outcome === 'silence') this.unknown++
      else this.acknowledged++
    } catch (error) {
      if (error instanceof Violation) throw error
      if (error instanceof Fault && isAnswer(error)) this.acknowledged++
      else if (error instanceof Fault) {
        this.refused++
        // Where regions are lost, and until they are replaced, it is long until it may be tried again.
        if (cluster.roster.isByRows) await timeline.sleep(chance.between(200, 1_000))
      } else if (error instanceof StoreError) this.unknown++
      else throw error
    }
  }

  /** The region that carries it out: the own one, if that has the bucket as it knows, or one of those that have it. */
  #serving(region: Region, { name }: SimulatedBucket): Region | undefined {
    const { cluster, chance } = this.#parts
    if (region.has(name)) return region
    const cells = cellsIn(region.store.view, name, cluster.roster.knownIn(region.store.view))
    const others = cluster.regions.filter((each) => each.isUp && cells.includes(each.member.cell) && each.has(name))
    return others.length === 0 ? undefined : chance.pick(others)
  }

  async #do(region: Region, services: RegionServices, bucket: SimulatedBucket): Promise<void> {
    const { chance, ledger, naming } = this.#parts
    const name = { bucket: bucket.name, key: anyKey(chance) }
    switch (chance.weighted(weights)) {
      case 'get':
        return await this.#get(region, services, bucket, name.key)
      case 'deleteVersion':
        return await this.#deleteVersion(services, bucket, name.key)
      case 'copy':
      case 'rename':
        return await this.#move(region, services, bucket, name.key)
      case 'tag': {
        const tags = new Map([['mark', `${region.member.cell}-${this.#written++}`]])
        await services.objects.update({ name, guard, change: () => ({ tags }) })
        return
      }
      case 'upload':
        return await upload(
          {
            ...{ uploads: services.uploads, chance, ledger, draft: () => this.#bytes() },
            completed: (version) => this.#promised(bucket, name.key, version),
          },
          name,
          naming.restriction(region, bucket),
        )
      case 'list': {
        const check = chance.happens(0.5) ? checkObjects : checkVersions
        // What stands now is what the snapshot shows that the listing takes at once.
        return await check(region.store.view, services.listings, bucket, chance.pick([1, 3, 1000]))
      }
      case 'restore':
        return await this.#restore(services, bucket)
      case 'delete':
        await services.objects.delete({ name, guard, conditions: {}, bypassGovernance: false, caller: owner })
        return
      case 'deleteIf': {
        const { version } = await services.objects.find({ name, guard })
        const conditions = { ifMatch: [version.etag] }
        await services.objects.delete({ name, guard, conditions, bypassGovernance: false, caller: owner })
        return
      }
      case 'create':
        return await this.#put(region, services, bucket, name.key, { ifNoneMatch: ['*'] })
      case 'replace': {
        const { version } = await services.objects.find({ name, guard })
        return await this.#put(region, services, bucket, name.key, { ifMatch: [version.etag] })
      }
      case 'put':
        return await this.#put(region, services, bucket, name.key, {})
    }
  }

  #bytes(): Uint8Array {
    const { region, chance } = this.#parts
    const size = chance.pick([10, 40, 400, 400])
    return Buffer.alloc(size, `${region.member.cell}/${this.#written++}/${chance.below(1e9)};`)
  }

  async #put(
    region: Region,
    { objects }: RegionServices,
    bucket: SimulatedBucket,
    key: string,
    conditions: Conditions,
  ): Promise<void> {
    const { ledger, naming } = this.#parts
    const bytes = this.#bytes()
    ledger.bodies.set(md5Of(bytes), bytes)
    const name = { bucket: bucket.name, key }
    const put = { name, attributes, body: bodyOf(bytes), digests: {}, conditions, guard }
    const { version } = await objects.put({ ...put, ...naming.restriction(region, bucket) })
    ledger.sees(region.member.cell, bucket, key, version)
    this.#promised(bucket, key, version)
  }

  /** What is acknowledged is where the bucket asks for it to be; its bytes, where of the regions that it names so many are left. */
  #promised(bucket: SimulatedBucket, key: string, version: ObjectVersion): void {
    const { cluster, ledger } = this.#parts
    const regions = cluster.fate.durability[buckets.indexOf(bucket)] ?? 1
    if (regions === 1) return
    // Also of one that was lost since: it had what it said that it has.
    const views = cluster.regions.map(({ store }) => store.view)
    const { isNull, stamp } = version
    const restriction = restrictionOf(bucket.id, version)
    const left = restriction && cluster.whereabouts.now(restriction)
    const place = { bucket: bucket.id, key, slot: isNull ? 0n : stamp, stamp }
    ledger.promises(place, regions, views, left?.length ?? regions)
  }

  async #move(region: Region, { objects }: RegionServices, bucket: SimulatedBucket, key: string): Promise<void> {
    const { chance, naming } = this.#parts
    const source = { bucket: bucket.name, key }
    const target = { bucket: bucket.name, key: anyKey(chance) }
    const conditions = {}
    if (chance.happens(0.7)) {
      const from = { name: source, guard, conditions }
      const copy = { source: from, name: target, attributes: () => attributes, conditions, guard }
      const copied = await objects.copy({ ...copy, ...naming.restriction(region, bucket) })
      this.#promised(bucket, target.key, copied.version)
    } else if (target.key !== key) {
      const request = { source, target, conditions, sourceConditions: {}, guard, sourceGuard: guard }
      this.#promised(bucket, target.key, (await objects.rename(request)).version)
    }
  }

  /** What is read is what was written under the stamp that it comes with, and no older than what was seen here before. */
  async #get(region: Region, { objects }: RegionServices, bucket: SimulatedBucket, key: string): Promise<void> {
    const { ledger, cluster } = this.#parts
    const { cell } = region.member
    const isSingle = cellsIn(cluster.root.store.view, bucket.name, cluster.membership).length === 1
    const seen = isSingle ? ledger.seenAnywhere(bucket, key) : ledger.seen(cell, bucket, key)
    const read = await objects.get({ name: { bucket: bucket.name, key }, guard, conditions: {} })
    const { version } = read
    ledger.checkRead(bucket, key, version, await bytesOf(read))
    if (version.stamp < seen) throw new Violation(`${key} was read at ${version.stamp} after ${seen} in cell ${cell}`)
    ledger.sees(cell, bucket, key, version)
  }

  /** What lost is made what stands; from now on it may be settled. */
  async #restore({ conflicts }: RegionServices, bucket: SimulatedBucket): Promise<void> {
    const { chance, ledger } = this.#parts
    const { conflicts: all } = await conflicts.list(bucket.name, { limit: 20 })
    if (all.length === 0) return
    const { key, id } = chance.pick(all)
    ledger.restored.add(`${bucket.id} ${key} ${id}`)
    await conflicts.restore({ name: { bucket: bucket.name, key }, id })
  }

  async #deleteVersion({ objects }: RegionServices, bucket: SimulatedBucket, key: string): Promise<void> {
    const { chance, ledger } = this.#parts
    const stamps: Stamp[] = []
    for (const births of ledger.slotsOf(bucket.id, key)) {
      for (const { slot, stamp } of births.values()) if (slot !== 0n) stamps.push(stamp)
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
