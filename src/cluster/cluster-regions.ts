import { Fault } from '#src/errors.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { durable, moved } from '#src/model/move.ts'
import { cellsOf, isKnown, type Member, memberIn, memberOf } from '#src/model/region.ts'
import type { MoveProgress, PlacedBucket, Regions } from '#src/service/regions.ts'
import type { World } from '#src/world.ts'
import type { BucketMoves } from './bucket-moves.ts'
import type { Members } from './members.ts'
import type { PeerHealth } from './peer-health.ts'

/** New buckets are not put where one is about to go. */
const isStaying = (state: Member['state']): boolean => state !== 'leaving' && state !== 'removed'

const namesIn = (text: string): readonly string[] =>
  [...new Set(text.split(',').map((each) => each.trim()))].filter((each) => each !== '')

const invalid = (message: string, text: string): Fault =>
  new Fault('InvalidArgument', { message, ArgumentName: 'X-Tigris-Regions', ArgumentValue: text })

/** Which locations buckets may be given, and regions objects. */
export class ClusterRegions implements Regions {
  readonly #members: Members
  readonly #moves: Pick<BucketMoves, 'progress'>
  readonly #world: World
  readonly #health: Pick<PeerHealth, 'nearest'>

  constructor(
    members: Members,
    moves: Pick<BucketMoves, 'progress'>,
    world: World,
    health: Pick<PeerHealth, 'nearest'>,
  ) {
    this.#members = members
    this.#moves = moves
    this.#world = world
    this.#health = health
  }

  chosen(text: string): string {
    const names = namesIn(text)
    // With Tigris' partner API.
    if (names.length === 1 && names[0] === 'global') return ''
    const bad = names.find((name) => !this.#isPlace(name, names.length === 1))
    if (bad === undefined && names.length > 0) return names.join(',')
    const mayBeAlone = bad === 'global' || (bad !== undefined && this.#isPlace(bad, true))
    const rule = 'can only stand alone: a bucket is given one geography, or regions by their codes.'
    if (mayBeAlone) throw invalid(`${bad} ${rule}`, text)
    throw invalid(`There is no region ${bad ?? ''} in this cluster.`, text)
  }

  keeping({ location }: Bucket, text: string): readonly string[] | undefined {
    const { membership } = this.#members
    const members = cellsOf(location, membership).flatMap((cell) => memberOf(membership, cell) ?? [])
    const there = members.filter(({ state }) => isStaying(state))
    // As for buckets, with Tigris' partner API.
    const names = namesIn(text).filter((each) => each !== 'global')
    const codes = new Set(names.filter((name) => there.some(({ region }) => region === name)))
    for (const name of names.filter((each) => !codes.has(each))) {
      const within = there.filter(({ geography }) => geography === name)
      const nearest = this.#nearest(within.filter(({ region }) => codes.has(region))) ?? this.#nearest(within)
      if (nearest === undefined) throw invalid(`This bucket is in no region ${name}.`, text)
      codes.add(nearest.region)
    }
    return codes.size === 0 ? undefined : [...codes].sort()
  }

  #nearest(members: readonly Member[]): Member | undefined {
    const { self } = this.#members
    const [first] = this.#health.nearest(members.map(({ cell }) => cell))
    return members.find(({ cell }) => cell === self.cell) ?? members.find(({ cell }) => cell === first)
  }

  constrained(location: string): string {
    const { membership } = this.#members
    const isPlacing = location.split(',').some((name) => isKnown(name, membership))
    if (!isPlacing) return location
    const names = location.split(',')
    if (names.every((name) => this.#isPlace(name, names.length === 1))) return location
    throw new Fault('InvalidLocationConstraint', { LocationConstraint: location })
  }

  homeOfNew(location: string, region: string | undefined): Bucket['home'] {
    const { membership, self } = this.#members
    const member = memberIn(membership, region ?? self.region)
    if (member?.state !== 'active' || !cellsOf(location, membership).includes(member.cell)) return undefined
    return { cell: member.cell, epoch: 1 }
  }

  moved(bucket: Bucket, location: string): Bucket {
    return moved(bucket, location, this.#members.membership, this.#world.now())
  }

  durable<Kind extends PlacedBucket>(bucket: Kind, regions: number): Kind {
    return durable(bucket, regions, this.#members.membership)
  }

  progress(bucket: Bucket): Promise<MoveProgress | undefined> {
    return this.#moves.progress(bucket, new AbortController().signal)
  }

  /** A region; or, alone, a geography. */
  #isPlace(name: string, isAlone: boolean): boolean {
    const { membership } = this.#members
    const named = memberIn(membership, name)
    if (named !== undefined) return isStaying(named.state)
    return isAlone && membership.members.some(({ geography, state }) => geography === name && isStaying(state))
  }
}
