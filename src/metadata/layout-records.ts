import type { Entry, Snapshot, Transaction } from '#src/store/store.ts'
import { decodeJson, encodeJson } from './json-rows.ts'
import { type KeyRange, keys } from './keyspace.ts'
import { type NodeRecord, readNodes } from './node-records.ts'

/** One change of what lies under which key, or of what values are, that a running cell can make of itself. */
export interface LayoutStep {
  /** The layout that it leads to, from the one before. */
  readonly to: number
  /** What it changes, for people. */
  readonly name: string
  /** Whether a node that knows only the layout before reads rows of either right: then both may serve until all nodes know this one. */
  readonly isReadBefore: boolean
  /** Where its rows are, in the order in which they are gone through. */
  readonly ranges: readonly KeyRange[]
  /**
   * Brings these rows to the new layout; reads nothing outside of its transaction, and leaves alone what is in it already. Rows that it puts
   * behind them in the same range are gone through too.
   */
  raise(to: Transaction, rows: readonly Entry[]): Promise<void> | void
}

/** What a program knows: it reads and raises all from `oldest` on, and writes the newest. */
export interface Layouts {
  readonly oldest: number
  /** Without gaps, from `oldest` + 1 on. */
  readonly steps: readonly LayoutStep[]
}

/**
 * In which layout the rows of a cell are.
 *
 * U1  no program serves a cell that may hold rows which it does not know: who starts is refused, and rows change only once every node of the
 *     cell has been started with a program that knows what they become.
 * U2  what was raised stays so: how far a step is commits with the rows that it has raised.
 */
export interface Layout {
  /** All rows are in this layout, or in the one that they are being raised to. */
  readonly layout: number
  /** Whoever serves knows this one at least. */
  readonly needs: number
  /** Of the step to the next one. */
  readonly raising?: Raising
}

export interface Raising {
  /** Which range of the step, and behind which of its keys: in hexadecimal. */
  readonly range: number
  readonly after: string
  /** Gone through so far. */
  readonly rows: number
  /** In milliseconds since the epoch. */
  readonly began: number
  readonly at: number
}

/** Of cells that nobody has raised yet, which have no row. */
const first: Layout = { layout: 1, needs: 1 }
const format = 1

export const newestOf = ({ oldest, steps }: Layouts): number => oldest + steps.length

export async function readLayout(from: Snapshot): Promise<Layout> {
  const bytes = await from.get(keys.layout)
  return bytes === undefined ? first : decodeJson<Layout>(format, bytes)
}

export function setLayout(to: Transaction, layout: Layout): void {
  to.set(keys.layout, encodeJson(format, layout))
}

/** Why a program that knows these may not read the cell; undefined: it may (U1). */
export function whyNotRead({ layout, needs }: Layout, known: Layouts): string | undefined {
  const newest = newestOf(known)
  if (needs > newest) {
    return `the metadata needs a version of Meridian that knows its layout ${needs}, and this one knows ${newest} at most: start a newer one`
  }
  if (layout >= known.oldest) return undefined
  return `the metadata is in layout ${layout}, and this version of Meridian knows none before ${known.oldest}: start the version before it first, until it has raised the layout`
}

/** Nodes that were last started with a program that does not know the layout. */
export const nodesBefore = (layout: number, nodes: ReadonlyMap<string, NodeRecord>): readonly string[] =>
  [...nodes].filter(([, { layout: theirs = 1 }]) => theirs < layout).map(([id, { peer }]) => `${id} (${peer})`)

/**
 * To be called in the transaction that writes down a node which starts with these. Why it may not serve yet, for people; undefined: it may,
 * and whoever knows less is refused from now on, where rows will be of a layout that those do not read (U1).
 */
export async function enterLayout(to: Transaction, known: Layouts, node: string): Promise<string | undefined> {
  const standing = await readLayout(to)
  const needed = known.steps.findLast((step) => !step.isReadBefore)?.to ?? 0
  if (needed <= standing.needs) return undefined
  const others = new Map(await readNodes(to))
  others.delete(node)
  const before = nodesBefore(needed, others)
  if (before.length === 0) {
    setLayout(to, { ...standing, needs: needed })
    return undefined
  }
  const nodes = before.join(', ')
  return `this version of Meridian writes rows that older ones do not read, and these nodes were last started with one: ${nodes}: stop all nodes of the region and start them with this version, or \`meridian nodes remove\` those that are gone`
}
