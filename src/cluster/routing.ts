import { Fault } from '#src/errors.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { cellsOf, memberOf } from '#src/model/region.ts'
import type { Members } from './members.ts'
import type { PeerHealth } from './peer-health.ts'

/**
 * Where a request is carried out.
 *
 * `root`: it changes the namespace. `cells`: it is about objects, and any of the bucket's cells does it. `upload`: the cell that the upload
 * id names (C26). `anywhere`: what it reads, every cell has.
 */
export type Site = 'root' | 'cells' | 'upload' | 'anywhere'

export interface Asked {
  readonly site: Site
  /** As this cell knows it; undefined: it knows none, and says so itself. */
  readonly bucket: Bucket | undefined
  /** The bucket that a copy reads; undefined: it is no copy, or of a bucket that is not known here. */
  readonly source?: Pick<Bucket, 'location'> | undefined
  readonly uploadId: string | undefined
  /** `X-Tigris-Consistent: true`: at the bucket's home cell (C23). */
  readonly isConsistent: boolean
  /** `X-Tigris-Regions` of a request for an object, regions and geographies: in one of these, where the bucket is there. */
  readonly regions: readonly string[]
}

/** Carried out by this process, or by one of these cells: the first one that can be reached. */
export type Place = 'here' | readonly number[]

const uploadForm = /^(\d{3})[0-9a-f]{46}$/

/** The cell that an upload id names; undefined: nobody gave that id. */
export function cellOfUpload(uploadId: string): number | undefined {
  const match = uploadForm.exec(uploadId)
  return match === null ? undefined : Number(match[1])
}

export class Routing {
  readonly #members: Members
  readonly #health: PeerHealth

  constructor(members: Members, health: PeerHealth) {
    this.#members = members
    this.#health = health
  }

  /** Throws Fault `ServiceUnavailable` where no cell could do it. */
  place({ site, bucket, source, uploadId, isConsistent, regions }: Asked): Place {
    if (site === 'root') return this.#at(this.#members.membership.root)
    if (site === 'anywhere' || bucket === undefined) return 'here'
    if (site === 'upload') {
      const cell = cellOfUpload(uploadId ?? '')
      const member = cell === undefined ? undefined : memberOf(this.#members.membership, cell)
      if (member !== undefined && member.state !== 'removed') return this.#at(this.#reading([member.cell], source)[0])
    }
    if (isConsistent) return this.#at(this.#reading([this.home(bucket)], source)[0])
    // What is written is to be in these: that its source is elsewhere is the lesser evil.
    const cells = this.#reading(this.#chosen(this.cells(bucket), regions), source)
    const { self, isServing } = this.#members
    if (isServing && cells.includes(self.cell)) return 'here'
    const others = cells.filter((cell) => cell !== self.cell)
    if (others.length === 0) throw unavailable()
    return this.#health.nearest(others)
  }

  /** The bucket's cells that take requests: not those that join or leave. */
  cells({ location }: Pick<Bucket, 'location'>): readonly number[] {
    const { membership } = this.#members
    return cellsOf(location, membership).filter((cell) => memberOf(membership, cell)?.state === 'active')
  }

  /** The cell that carries out what must be decided once; the bucket says it, or else it is the root, or the first of its cells. */
  home(bucket: Pick<Bucket, 'location' | 'home'>): number {
    const { membership } = this.#members
    const cells = cellsOf(bucket.location, membership)
    const named = bucket.home?.cell
    if (named !== undefined && cells.includes(named)) return named
    if (cells.includes(membership.root)) return membership.root
    const [first] = [...cells].sort((a, b) => a - b)
    if (first === undefined) throw unavailable()
    return first
  }

  #chosen(cells: readonly number[], regions: readonly string[]): readonly number[] {
    if (regions.length === 0) return cells
    const chosen = cells.filter((cell) => {
      const { region = '', geography = '' } = memberOf(this.#members.membership, cell) ?? {}
      return regions.includes(region) || (geography !== '' && regions.includes(geography))
    })
    return chosen.length > 0 ? chosen : cells
  }

  /** Of the cells those that have the source of a copy too, if there are such: others have to ask for it. */
  #reading(cells: readonly number[], source: Asked['source']): readonly number[] {
    if (source === undefined || cells.length === 0) return cells
    const having = cellsOf(source.location, this.#members.membership)
    const both = cells.filter((cell) => having.includes(cell))
    return both.length > 0 ? both : cells
  }

  #at(cell: number | undefined): Place {
    if (cell === undefined) throw unavailable()
    return cell === this.#members.self.cell ? 'here' : [cell]
  }
}

const unavailable = (): Fault =>
  new Fault('ServiceUnavailable', { message: 'No region that has this bucket takes requests.' })
