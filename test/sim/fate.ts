import type { Membership } from '#src/model/region.ts'
import { Chance } from './chance.ts'

/** What becomes of the regions of a simulation beside what happens in all of them. */
export interface Fate {
  /** How often another region is made the root, in order, before anything is lost. */
  readonly promotions: number
  /** Which region is lost for good. */
  readonly loses: 'none' | 'root' | 'other'
  /** Whether a new region of the same code takes the place of the lost one. */
  readonly isReplaced: boolean
  /** Whether a bucket is only in what is lost, if it may be. */
  readonly isBucketLost: boolean
  /** In how many regions writes have to be before they are acknowledged, by bucket. */
  readonly durability: readonly number[]
}

/** One in which nothing of that happens: who is a member is known everywhere at once there. */
export const usual: Fate = { promotions: 0, loses: 'none', isReplaced: false, isBucketLost: false, durability: [] }

/** By its own numbers: what a seed draws besides stays as it is. */
export function fateOf(seed: string, regions: number): Fate {
  const chance = new Chance(`${seed}/fate`)
  const kind = chance.weighted({ usual: 85, promotion: 4, loss: 5, rootLoss: 4, both: 2 })
  const isReplaced = chance.happens(0.6)
  const durability = chance.pick([
    [2, 2, 2],
    [2, 2, 2],
    [1, 2, 1],
    [1, 1, 1],
  ])
  const isBucketLost = chance.happens(0.7)
  const promotions = chance.pick([1, 1, 2])
  const ofTwo = regions === 2
  // Writes to two of two regions would stand still while one is gone.
  if (kind === 'usual' || (ofTwo && kind !== 'promotion')) return usual
  if (kind === 'promotion') return { ...usual, promotions, durability: ofTwo ? [] : durability }
  const loses = kind === 'loss' ? 'other' : kind === 'rootLoss' ? 'root' : chance.pick(['root', 'other'] as const)
  return { promotions: kind === 'both' ? promotions : 0, loses, isReplaced, isBucketLost, durability }
}

export const isUsual = ({ promotions, loses }: Fate): boolean => promotions === 0 && loses === 'none'

/** Of two memberships that cells know of, the later one. */
export function isLater(one: Membership, other: Membership): boolean {
  const [reign, before] = [one.reign ?? 0, other.reign ?? 0]
  return reign > before || (reign === before && one.epoch > other.epoch)
}
