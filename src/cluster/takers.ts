import type { ToldBy } from './heirs.ts'

/** What a blob's keeper knows of one of which it counts too few copies. */
export interface Lacking {
  /** The keeper. */
  readonly cell: number
  readonly holds: boolean
  /** How many copies there are to be. */
  readonly needed: number
  /** The cells that are to hold it; undefined: all may. */
  readonly targets: readonly number[] | undefined
  /** The cells whose copies are counted. */
  readonly counted: readonly number[]
}

/** Whether a cell is one of those that are to hold a blob; undefined: all may. */
export const isAmong = (cell: number | undefined, targets: readonly number[] | undefined): boolean =>
  targets === undefined || (cell !== undefined && targets.includes(cell))

/**
 * The cells that are asked to take a copy, or to tell of theirs once more; undefined: there is nothing that could be done. Those count
 * that are named where they are: others want to go.
 */
export function askedFor(
  { cell, holds, needed, targets, counted }: Lacking,
  others: readonly ToldBy[],
): readonly number[] | undefined {
  const able = others.filter((each) => each.isActive && isAmong(each.cell, targets))
  const cellsOf = (some: readonly ToldBy[]): readonly number[] => some.map((each) => each.cell)
  // One that keeps it too, as may be for a while, counts its copy itself, and tells nobody (K1).
  const holding = cellsOf(able.filter((each) => each.names && each.holds && !each.keeps))
  const isToHold = isAmong(cell, targets)
  const missing = needed - holding.length - (holds && isToHold ? 1 : 0)
  // They have yet to tell; or what they told was taken back since, as of a copy that seemed damaged.
  if (missing <= 0) return holding.filter((each) => !counted.includes(each))
  const takers = cellsOf(able.filter((each) => each.names && !each.holds))
  // No more regions have the bucket: it cannot be in more of them.
  if (holds && takers.length === 0 && needed - missing <= counted.length) return undefined
  return [...(!holds && isToHold ? [cell] : []), ...takers].slice(0, missing)
}
