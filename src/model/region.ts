/**
 * Which regions there are, which cell each has, and which cells a bucket lives in.
 *
 * A cell's number is given once, by the root, and never again (C16): a region that lost its cell joins with another.
 */
export interface Member {
  /** The region's code: three letters by custom. */
  readonly region: string
  /** Regions group into geographies, such as `eur`; empty: none. */
  readonly geography: string
  /** 0–999, the last digits of the stamps that it draws. */
  readonly cell: number
  /** Drawn by the cell at its birth, or at its rebirth from a backup: cursors on its feed belong to it (C15). */
  readonly incarnation: string
  /** Where its peer API is, as an origin: `http://[fd00::1]:9100`; of several nodes, one each, separated by commas. */
  readonly peer: string
  /**
   * `joining`: it follows the others, and takes no writes yet. `leaving`: its bytes are being copied away; it takes no
   * writes any more. `removed`: it is refused by all, for good.
   */
  readonly state: 'joining' | 'active' | 'leaving' | 'removed'
}

/** As the root cell keeps it in the namespace, and every other cell has it from there. */
export interface Membership {
  /** Grows with every change; calls between cells carry it (C16). */
  readonly epoch: number
  /** The cell that owns the namespace. */
  readonly root: number
  /** How often the root has changed; absent: never. Of two that call themselves the root, the later one is. */
  readonly reign?: number
  readonly members: readonly Member[]
}

export const originsOf = ({ peer }: Pick<Member, 'peer'>): readonly string[] => peer.split(',')

export const memberOf = ({ members }: Membership, cell: number): Member | undefined =>
  members.find((each) => each.cell === cell)

/** Of those that are in the region and were not removed, the one there is. */
export const memberIn = ({ members }: Membership, region: string): Member | undefined =>
  members.find((each) => each.region === region && each.state !== 'removed')

/** Whether some cell that there is or was has it as its region or geography. */
export const isKnown = (name: string, { members }: Membership): boolean =>
  name !== '' && members.some(({ region, geography }) => region === name || geography === name)

/** Whether a cell is about to go, or gone: it keeps nothing any more, and its copies do not count. */
export function isGoing(membership: Membership, cell: number): boolean {
  const state = memberOf(membership, cell)?.state
  return state === 'leaving' || state === 'removed'
}

/** Which regions' copies count. */
export function countsIn(membership: Membership): (region: string) => boolean {
  return (region) => {
    const state = memberIn(membership, region)?.state
    return state !== undefined && state !== 'leaving'
  }
}

/**
 * Of a bucket's cells those that are to keep what is restricted to some regions: as of a bucket's location, names that nobody has any
 * more count as none. Undefined where none is left: then it may be kept by all.
 */
export function targetCells(
  regions: readonly string[],
  cells: readonly number[],
  membership: Membership,
): readonly number[] | undefined {
  const left = cells.filter((cell) => {
    const member = memberOf(membership, cell)
    return member !== undefined && regions.includes(member.region) && !isGoing(membership, cell)
  })
  return left.length === 0 ? undefined : left
}

const isIn = ({ state }: Member): boolean => state !== 'removed'

/**
 * The cells that hold a bucket's records, by its location as on the wire (DESIGN §3): empty, all of them; a geography, the
 * cell of the first region there (C25); else the regions named. Names that nobody has any more count as none. A location that
 * names nothing the cluster ever had is a LocationConstraint of another store, which places nothing: all of them.
 */
export function cellsOf(location: string, membership: Membership): readonly number[] {
  const members = membership.members.filter(isIn)
  const named = location.split(',')
  if (location === '' || !named.some((name) => isKnown(name, membership))) return members.map(({ cell }) => cell)
  const [only] = named
  const inGeography = named.length === 1 ? members.filter(({ geography }) => geography === only) : []
  if (inGeography.length > 0) return [Math.min(...inGeography.map(({ cell }) => cell))]
  return members.filter(({ region }) => named.includes(region)).map(({ cell }) => cell)
}
