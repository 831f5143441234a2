import { Fault } from '#src/errors.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { cellsOf, isKnown, type Member, memberIn } from '#src/model/region.ts'
import type { Regions } from '#src/service/services.ts'
import type { Members } from './members.ts'

/** New buckets are not put where one is about to go. */
const isStaying = (state: Member['state']): boolean => state !== 'leaving' && state !== 'removed'

/** Which locations buckets may be given. */
export class ClusterRegions implements Regions {
  readonly #members: Members

  constructor(members: Members) {
    this.#members = members
  }

  chosen(text: string): string {
    const names = [...new Set(text.split(',').map((each) => each.trim()))].filter((each) => each !== '')
    const bad = names.find((name) => !this.#isPlace(name, names.length === 1))
    if (bad === undefined && names.length > 0) return names.join(',')
    const message = `There is no region ${bad ?? ''} in this cluster.`
    throw new Fault('InvalidArgument', { message, ArgumentName: 'X-Tigris-Regions', ArgumentValue: text })
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

  /** A region; or, alone, a geography. */
  #isPlace(name: string, isAlone: boolean): boolean {
    const { membership } = this.#members
    const named = memberIn(membership, name)
    if (named !== undefined) return isStaying(named.state)
    return isAlone && membership.members.some(({ geography, state }) => geography === name && isStaying(state))
  }
}
