import { readPlace, writePlace } from '#src/cluster/namespace-messages.ts'
import type { Region } from '#src/cluster/region.ts'
import { Fault } from '#src/errors.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { Caller } from '#src/model/identity.ts'
import { takesWrites } from '#src/model/move.ts'
import type { Buckets } from '#src/service/services.ts'
import type { Moment, World } from '#src/world.ts'
import type { Address } from './address.ts'
import { isQueryCall } from './auth/request.ts'
import { isMethod, type Target } from './dispatch.ts'
import type { Incoming } from './incoming.ts'
import type { Operation, S3Response } from './operations/operation.ts'
import type { Forwarder } from './peer/forwarding.ts'
import { positionHeader } from './peer/forwarding.ts'
import { parseCopySource } from './wire/copy-source.ts'

export interface ClusterFrontParts {
  readonly region: Region
  readonly forwarder: Pick<Forwarder, 'forward'>
  readonly buckets: Pick<Buckets, 'get'>
  readonly world: Pick<World, 'monotonic' | 'sleep'>
  /** How long the answer to a change waits until this region knows of it, in milliseconds. */
  readonly patience?: number
}

interface AskedHere {
  readonly incoming: Incoming
  readonly address: Address
  /** Undefined: none of S3's. */
  readonly operation: Operation | undefined
}

interface Settled {
  readonly bucket: Bucket | undefined
  readonly hasWaited: boolean
}

const notPlaced: Settled = { bucket: undefined, hasWaited: false }
const isRead: ReadonlySet<string> = new Set(['GET', 'HEAD'])
/** Between two looks at a bucket's row. */
const lookMilliseconds = 20

const unconfirmedHeader = 'x-meridian-unconfirmed'

/** A link in a message, which confirms or ends a subscription. */
const isLink = ({ incoming, address }: AskedHere): boolean =>
  incoming.method === 'GET' && address.scope === 'service' && address.query.has('Action')

function isRootCall(asked: AskedHere): boolean {
  const { incoming, address } = asked
  return isLink(asked) || isQueryCall(incoming, address)
}

/** Whether it is carried out where its bucket is. */
const isPlaced = (operation: Operation | undefined): boolean =>
  operation?.site === 'cells' || operation?.site === 'upload'

/** Whether it may change the namespace. */
const isChange = (asked: AskedHere): boolean =>
  isRootCall(asked) ||
  (asked.operation?.site === 'root' && asked.incoming.method !== 'GET' && asked.incoming.method !== 'HEAD')

/**
 * What the gateway asks of other regions, around the way of a request.
 *
 * Y13  a change of the namespace is answered once the asking region has it, and every cell that can be reached, or with the
 *     names of those that have not confirmed in time (C24).
 */
export class ClusterFront {
  readonly #parts: ClusterFrontParts

  constructor(parts: ClusterFrontParts) {
    this.#parts = parts
  }

  /** The answer of the region that has what is asked for, or `here`; `seen` is told of the bucket, where it had to be looked at. */
  async answer(
    incoming: Incoming,
    address: Address,
    dispatch: (target: Target) => Operation | undefined,
    here: (incoming: Incoming) => Promise<S3Response>,
    seen: (bucket: Bucket) => void,
  ): Promise<S3Response> {
    const { method, headers } = incoming
    const { scope, query } = address
    const operation = isMethod(method) ? dispatch({ method, scope, query, headers }) : undefined
    const asked = { incoming, address, operation }
    const { bucket, hasWaited } = isPlaced(operation) ? await this.#settledBucket(asked) : notPlaced
    if (bucket !== undefined) seen(bucket)
    const elsewhere = await this.#elsewhere(asked, bucket)
    if (elsewhere !== undefined) return elsewhere
    // What it has waited for is not there at the moment at which it began.
    const { since, ...later } = incoming
    return await this.#settled(asked, await here(hasWaited ? later : incoming))
  }

  /**
   * While a bucket goes from some regions to others, nothing is written: clients wait for that here before they send their
   * bodies, and not for as long as a region may be away.
   */
  async #settledBucket({ incoming, address }: AskedHere): Promise<Settled> {
    const { world, patience = 5_000 } = this.#parts
    const end = isRead.has(incoming.method) ? undefined : world.monotonic() + patience
    for (let hasWaited = false; ; hasWaited = true) {
      const bucket = await this.#bucket(address.bucket, hasWaited ? undefined : incoming.since)
      const mayGoOn = end === undefined || bucket?.state !== 'active' || takesWrites(bucket)
      if (mayGoOn || world.monotonic() > end) return { bucket, hasWaited }
      await world.sleep(lookMilliseconds, new AbortController().signal)
    }
  }

  /** The answer of the region that carries the request out; undefined: this one does. */
  async #elsewhere(asked: AskedHere, bucket: Bucket | undefined): Promise<S3Response | undefined> {
    const { region, forwarder } = this.#parts
    if (region.members.isRemoved) throw unavailable('This region was removed from its cluster.')
    // Others may have begun after its last look at them.
    if (region.isUnsure && isChange(asked) && !(await region.health.hears())) {
      throw unavailable('The root has not heard of any other region yet.')
    }
    // Not before: another root may be known by then.
    const cells = await this.#cells(asked, bucket)
    if (cells === undefined) return undefined
    // Where two regions see the cluster differently for a moment, neither sends the request to and fro.
    const { incoming, address } = asked
    if (incoming.forwardedBy !== undefined) throw unavailable('The region that has this is about to change.')
    const target = address.rawQuery === '' ? address.rawPath : `${address.rawPath}?${address.rawQuery}`
    const answer = await forwarder.forward({ ...incoming, target }, cells)
    const { [positionHeader]: place, ...headers } = answer.headers ?? {}
    if (place === undefined) return answer
    const isHere = await region.replica.reaches(
      readPlace(place),
      this.#parts.patience ?? 5_000,
      new AbortController().signal,
    )
    return { ...answer, headers: isHere ? headers : withUnconfirmed(headers, region.members.self.region) }
  }

  /** What the root says to a change once others have it; any other answer as it is. */
  async #settled({ incoming, address, operation }: AskedHere, answer: S3Response): Promise<S3Response> {
    const { region } = this.#parts
    if (!region.members.isRoot || !isChange({ incoming, address, operation }) || answer.later !== undefined)
      return answer
    const head = await region.confirmations.head()
    const missing = await region.confirmations.wait(head, new AbortController().signal)
    const headers: Record<string, string> = { ...answer.headers }
    if (missing.length > 0) headers[unconfirmedHeader] = missing.join(',')
    if (incoming.forwardedBy !== undefined) headers[positionHeader] = writePlace(head)
    return { ...answer, headers }
  }

  /** Throws where keys and policies may be out of date beyond what is allowed (C24). */
  checkFresh({ kind }: Caller): void {
    if (!this.#parts.region.isStale()) return
    if (kind === 'anonymous') throw new Fault('AccessDenied')
    throw unavailable('This region has not heard of changes to keys and policies for too long.')
  }

  async #cells(asked: AskedHere, bucket: Bucket | undefined): Promise<readonly number[] | undefined> {
    const { region } = this.#parts
    const { address, operation, incoming } = asked
    const site = isRootCall(asked) ? 'root' : operation?.site
    if (site === undefined) return undefined
    const from = isPlaced(operation) ? sourceBucket(incoming.headers['x-amz-copy-source']) : undefined
    const place = region.routing.place({
      site,
      bucket,
      source: from === undefined ? undefined : await this.#bucket(from),
      uploadId: address.query.get('uploadId'),
      isConsistent: incoming.headers['x-tigris-consistent'] === 'true',
      regions: listOf(incoming.headers['x-tigris-regions']),
    })
    return place === 'here' ? undefined : place
  }

  async #bucket(name: string, since?: Moment): Promise<Bucket | undefined> {
    try {
      return await this.#parts.buckets.get(name, since)
    } catch (error) {
      if (error instanceof Fault) return undefined
      throw error
    }
  }
}

/** That a copy names what it reads badly is told to it where it is carried out. */
function sourceBucket(header: string | readonly string[] | undefined): string | undefined {
  if (typeof header !== 'string') return undefined
  try {
    return parseCopySource(header).name.bucket
  } catch {
    return undefined
  }
}

const listOf = (header: string | readonly string[] | undefined): readonly string[] =>
  typeof header === 'string' ? header.split(',').map((each) => each.trim()) : []

function withUnconfirmed(headers: Readonly<Record<string, string>>, region: string): Record<string, string> {
  const named = new Set([...(headers[unconfirmedHeader] ?? '').split(',').filter((each) => each !== ''), region])
  return { ...headers, [unconfirmedHeader]: [...named].sort().join(',') }
}

const unavailable = (message: string): Fault => new Fault('ServiceUnavailable', { message })
