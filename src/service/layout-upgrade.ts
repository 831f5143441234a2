import {
  type Layout,
  type LayoutStep,
  type Layouts,
  nodesBefore,
  readLayout,
  setLayout,
} from '#src/metadata/layout-records.ts'
import { readNodes } from '#src/metadata/node-records.ts'
import { type Entry, type Store, StoreError, type Transaction } from '#src/store/store.ts'
import { afterKey } from '#src/store/tuple.ts'
import type { World } from '#src/world.ts'

/** Of one transaction, at first: few enough to meet few writes of others. */
const rowsMost = 200
const bytesMost = 500_000
/** Milliseconds between two looks at nodes that have to come first. */
const patience = 5_000
/** Milliseconds between two reports. */
const reportEvery = 30_000
/** Milliseconds before what failed is tried again. */
const pauseAfterFailure = 1_000

export type UpgradeEvent =
  | { readonly kind: 'began' | 'raising' | 'done'; readonly to: number; readonly name: string; readonly rows: number }
  | { readonly kind: 'waiting'; readonly to: number; readonly name: string; readonly nodes: readonly string[] }
  | { readonly kind: 'failed'; readonly error: unknown }

export interface LayoutUpgradeParts {
  /** The cell's, below whatever records what is changed: nothing that is told to others changes. */
  readonly store: Store
  readonly world: World
  readonly layouts: Layouts
  readonly report: (event: UpgradeEvent) => void
}

/** What one transaction came to. */
type Pace =
  | { readonly kind: 'page'; readonly layout: Layout; readonly isFirst: boolean }
  | { readonly kind: 'end'; readonly rows: number }
  | { readonly kind: 'wait'; readonly nodes: readonly string[] }
  | { readonly kind: 'nothing' }

/**
 * Raises the rows of a cell to the newest layout that is known, while it is served: page by page, each in a transaction with its place (U2),
 * so that it goes on where it was cut short, and several processes that do it at once share the work.
 */
export class LayoutUpgrade {
  readonly #parts: LayoutUpgradeParts
  #rowsMost = rowsMost
  #reported = Number.NEGATIVE_INFINITY

  constructor(parts: LayoutUpgradeParts) {
    this.#parts = parts
  }

  /** Resolves once all is raised, or with the signal. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const pause = await this.#advance().catch((error: unknown) => this.#failed(error))
      if (pause === undefined) return
      await this.#parts.world.sleep(pause, signal).catch(() => undefined)
    }
  }

  /** Milliseconds to wait for; undefined: there is nothing to be raised. */
  async #advance(): Promise<number | undefined> {
    const { world, store, layouts } = this.#parts
    const began = world.monotonic()
    const step = nextStep(await store.snapshot(readLayout), layouts)
    if (step === undefined) return undefined
    return this.#told(step, await this.#page(step)) ?? world.monotonic() - began
  }

  /** Milliseconds to wait for; undefined: as long as it took, so that half of the time is left to those who are served. */
  #told({ to, name }: LayoutStep, pace: Pace): number | undefined {
    const { report } = this.#parts
    if (pace.kind === 'end') report({ kind: 'done', to, name, rows: pace.rows })
    if (pace.kind === 'page' && this.#isDue(pace.isFirst)) {
      report({ kind: pace.isFirst ? 'began' : 'raising', to, name, rows: pace.layout.raising?.rows ?? 0 })
    }
    if (pace.kind !== 'wait') return undefined
    if (this.#isDue(false)) report({ kind: 'waiting', to, name, nodes: pace.nodes })
    return patience
  }

  #isDue(isNew: boolean): boolean {
    const now = this.#parts.world.monotonic()
    if (!isNew && now - this.#reported < reportEvery) return false
    this.#reported = now
    return true
  }

  /** Where a transaction was too much, the next one is half of it. */
  #failed(error: unknown): number {
    const isTooMuch = error instanceof StoreError && /^transaction_too_/.test(error.code)
    if (isTooMuch && this.#rowsMost > 1) this.#rowsMost = Math.ceil(this.#rowsMost / 2)
    else this.#parts.report({ kind: 'failed', error })
    return pauseAfterFailure
  }

  async #page(step: LayoutStep): Promise<Pace> {
    const { store, world } = this.#parts
    return await store.transact(async (transaction): Promise<Pace> => {
      const standing = await readLayout(transaction)
      if (standing.layout !== step.to - 1) return { kind: 'nothing' }
      const isFirst = standing.raising === undefined
      if (isFirst) {
        // Whoever starts meanwhile with less writes its row, and one of both transactions runs again.
        const before = nodesBefore(step.to, await readNodes(transaction))
        if (before.length > 0) return { kind: 'wait', nodes: before }
      }
      const now = world.now()
      const raising = standing.raising ?? { range: 0, after: '', rows: 0, began: now, at: now }
      const range = step.ranges[raising.range]
      const needs = Math.max(standing.needs, step.to)
      if (range === undefined) {
        setLayout(transaction, { layout: step.to, needs })
        return { kind: 'end', rows: raising.rows }
      }
      const rows = await this.#read(transaction, raising.after === '' ? range.from : behind(raising.after), range.to)
      await step.raise(transaction, rows)
      const last = rows.at(-1)
      const place =
        last === undefined
          ? { range: raising.range + 1, after: '' }
          : { range: raising.range, after: Buffer.from(last.key).toString('hex') }
      const layout = {
        ...standing,
        needs,
        raising: { ...raising, ...place, rows: raising.rows + rows.length, at: now },
      }
      setLayout(transaction, layout)
      return { kind: 'page', layout, isFirst }
    })
  }

  async #read(from: Transaction, start: Uint8Array, end: Uint8Array): Promise<readonly Entry[]> {
    const rows = await from.range(start, end, { limit: this.#rowsMost })
    let bytes = 0
    let count = 0
    while (count < rows.length && (count === 0 || bytes < bytesMost)) {
      const row = rows[count++]
      bytes += (row?.key.length ?? 0) + (row?.value.length ?? 0)
    }
    return rows.slice(0, count)
  }
}

const behind = (key: string): Uint8Array => afterKey(Buffer.from(key, 'hex'))

export const nextStep = ({ layout }: Layout, { steps }: Layouts): LayoutStep | undefined =>
  steps.find(({ to }) => to === layout + 1)
