import type { Told } from './succession-methods.ts'

/** What a cell says of a blob. */
export interface ToldBy extends Told {
  readonly cell: number
  readonly isActive: boolean
}

type Candidate = Pick<ToldBy, 'cell' | 'isActive' | 'names' | 'mayHold'>

/** Whom a blob is kept by, as others say it of themselves: of more than one, as may be for a while, all go by the same; undefined: by none of them. */
export function keeperAmong(others: readonly Pick<ToldBy, 'cell' | 'keeps'>[]): number | undefined {
  const keeping = others.filter(({ keeps }) => keeps).map(({ cell }) => cell)
  return keeping.length === 0 ? undefined : Math.min(...keeping)
}

/**
 * Whom a blob gets as its keeper, as one cell sees it: one that keeps it already; or else the least of those that name it, and of those
 * first that are to hold it. Where nobody names it, whoever has it keeps it for itself, and frees it.
 */
export function heirOf(self: Candidate, others: readonly ToldBy[]): number {
  const keeper = keeperAmong(others)
  if (keeper !== undefined) return keeper
  const naming = [self, ...others].filter(({ isActive, names }) => isActive && names)
  const holding = naming.filter(({ mayHold }) => mayHold)
  const heirs = holding.length > 0 ? holding : naming
  return heirs.length === 0 ? self.cell : Math.min(...heirs.map(({ cell }) => cell))
}
