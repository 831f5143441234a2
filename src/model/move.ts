import { Fault } from '#src/errors.ts'
import type { Bucket } from './bucket.ts'
import { cellsOf, type Membership } from './region.ts'

type Placed = Pick<Bucket, 'location' | 'move'>
type Asked = Pick<Bucket, 'name' | 'location' | 'move' | 'durability'>

/** Whether objects may be written, where the bucket is. */
export const takesWrites = ({ state, move }: Pick<Bucket, 'state' | 'move'>): boolean =>
  state === 'active' && move?.step !== 'fenced' && move?.step !== 'handing'

/** The cells that are the bucket's by the other of its two locations only: those that come, or those that go. */
export function changingCells({ location, move }: Placed, membership: Membership): readonly number[] {
  if (move === undefined) return []
  const standing = cellsOf(location, membership)
  return cellsOf(move.other, membership).filter((cell) => !standing.includes(cell))
}

/** The cells that may have something of the bucket. */
export const concernedCells = (bucket: Placed, membership: Membership): readonly number[] => [
  ...cellsOf(bucket.location, membership),
  ...changingCells(bucket, membership),
]

/** The cells that the bucket's records go to. */
export function sharingCells(bucket: Placed, membership: Membership): readonly number[] {
  const isShared = bucket.move !== undefined && bucket.move.step !== 'preparing' && bucket.move.step !== 'leaving'
  return isShared ? concernedCells(bucket, membership) : cellsOf(bucket.location, membership)
}

/**
 * A bucket that is asked to be elsewhere: its change begins, goes on, or is given up while that can be. Fault `OperationAborted`:
 * another change must end first.
 */
export function moved(bucket: Bucket, location: string, membership: Membership, now: number): Bucket {
  const { name, state, move, epoch } = bucket
  const next = epoch + 1
  if (state !== 'active') throw new Fault('OperationAborted', { BucketName: name })
  if (move !== undefined) {
    const isAhead = move.step !== 'handing' && move.step !== 'leaving'
    if (location === (isAhead ? move.other : bucket.location)) return bucket
    const isGivenUp = location === bucket.location && (move.step === 'preparing' || move.step === 'copying')
    if (isGivenUp) return { ...bucket, move: { ...move, step: 'leaving' }, epoch: next }
    const message = 'The regions of the bucket are changing already. Try again when that is done.'
    throw new Fault('OperationAborted', { BucketName: name, message })
  }
  if (location === bucket.location) return bucket
  checkDurability(bucket, location, membership)
  const [before, after] = [cellsOf(bucket.location, membership), cellsOf(location, membership)]
  // Where no cell has it any more, nothing is to be copied, or to come to its end: it begins anew, empty.
  if (before.length === 0) return { ...bucket, location, epoch: next }
  const isSame = before.length === after.length && after.every((cell) => before.includes(cell))
  if (isSame) return { ...bucket, location, epoch: next }
  return { ...bucket, move: { step: 'preparing', other: location, epoch: next, since: now }, epoch: next }
}

/**
 * Z8  no bucket is left nowhere, as long as some cell has it.
 *
 * A bucket as a cell goes for good: a change of location that would end with that cell alone is given up, one that began
 * there ends where it was to end, with what has come by then. Where nobody else has the bucket, nothing can be done.
 */
export function withoutCell(bucket: Bucket, cell: number, membership: Membership): Bucket {
  const { location, move, epoch } = bucket
  if (move === undefined || move.step === 'leaving') return bucket
  const isOnly = (place: string): boolean => cellsOf(place, membership).every((each) => each === cell)
  if (isOnly(location) === isOnly(move.other)) return bucket
  const [stays, goes] = isOnly(location) ? [move.other, location] : [location, move.other]
  return { ...bucket, location: stays, move: { ...move, step: 'leaving', other: goes }, epoch: epoch + 1 }
}

/** What is asked of a bucket's writes must be possible where it is, or is to be (C20). Fault `InvalidRequest`. */
export function durable<Kind extends Asked>(bucket: Kind, regions: number, membership: Membership): Kind {
  const { location, move } = bucket
  const after = { ...bucket, durability: regions }
  for (const each of move === undefined ? [location] : [location, move.other]) checkDurability(after, each, membership)
  return after
}

function checkDurability({ name, durability = 1 }: Asked, location: string, membership: Membership): void {
  const regions = cellsOf(location, membership).length
  if (durability <= regions) return
  const message = `Writes to the bucket have to be in ${durability} regions, and there are ${regions} at that location.`
  throw new Fault('InvalidRequest', { message, BucketName: name })
}
