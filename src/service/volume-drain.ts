import { beingEmptied } from '#src/blobs/volume.ts'
import type { VolumeMaintenance } from '#src/blobs/volume-maintenance.ts'
import { decodeBlob } from '#src/metadata/blob-codec.ts'
import { under } from '#src/metadata/keyspace.ts'
import { afterKey } from '#src/store/tuple.ts'
import { Compactor, type CompactorEvent } from './compactor.ts'
import type { Foundation } from './foundation.ts'

/** What is left of a volume that is being emptied. */
export interface DrainProgress {
  readonly segments: number
  /** Of their files. */
  readonly bytes: number
  /** Of these segments, those that wait: somebody may be writing to them, or about to name what is in them. */
  readonly waiting: number
  /** Blobs that could not be read, and so stay where they are. */
  readonly unreadable: number
}

export interface DrainOptions {
  readonly progress?: (progress: DrainProgress) => void
  readonly report?: (event: CompactorEvent) => void
}

/** Within this time every process has noticed that a volume takes no writes, in milliseconds. */
const noticeMilliseconds = 30_000
const lookMilliseconds = 5_000
const recordsTogether = 500

/**
 * Empties a volume, for its disk to be taken out.
 *
 * G4  it counts as empty only once no process can still write there, no segment is left, and no record names it.
 */
export class VolumeDrain {
  readonly #foundation: Foundation
  readonly #maintenance: VolumeMaintenance

  constructor(foundation: Foundation, maintenance: VolumeMaintenance) {
    this.#foundation = foundation
    this.#maintenance = maintenance
  }

  /**
   * Until it is empty, or nothing but what cannot be read is left, or the signal. What was moved by then is moved: the next one goes on from
   * there. Gives what is left.
   */
  async run(volume: string, signal: AbortSignal, { progress, report }: DrainOptions = {}): Promise<DrainProgress> {
    const { world } = this.#foundation
    const { retiredSince = world.now() } = await this.#withdrawn(volume)
    for (;;) {
      const left = await this.#pass(volume, signal, report ?? (() => {}), progress)
      progress?.(left)
      if ((await this.#state(volume))?.retired === undefined) {
        throw new Error('the volume was taken into use again meanwhile: it is not empty')
      }
      const hasNoticed = world.now() - retiredSince >= noticeMilliseconds
      const isOver = left.segments === 0 && hasNoticed && (await this.names(volume)) === 0
      if (isOver || signal.aborted || (left.unreadable > 0 && left.waiting === 0)) return left
      await world.sleep(lookMilliseconds, signal).catch(() => undefined)
    }
  }

  async #withdrawn(volume: string) {
    const before = await this.#state(volume)
    if (before === undefined) throw new Error(`there is no volume ${volume} here`)
    if (before.retired !== undefined) return before
    await this.#maintenance.withdraw(volume, beingEmptied)
    return (await this.#state(volume)) ?? before
  }

  async #state(volume: string) {
    return (await this.#maintenance.volumes()).find(({ id }) => id === volume)
  }

  async #pass(
    volume: string,
    signal: AbortSignal,
    report: (event: CompactorEvent) => void,
    progress: DrainOptions['progress'],
  ): Promise<DrainProgress> {
    let unreadable = 0
    const compactor = new Compactor(this.#foundation, this.#maintenance, (event) => {
      if (event.kind === 'unreadable') unreadable += 1
      report(event)
    })
    const segments = await this.#maintenance.segments(volume)
    const left = new Map(segments.map(({ number, size }) => [number, size]))
    const standing = (waiting: number): DrainProgress => {
      const bytes = [...left.values()].reduce((sum, size) => sum + size, 0)
      return { segments: left.size, bytes, waiting, unreadable }
    }
    const ready = segments.filter((segment) => compactor.isQuiet(segment))
    for (const segment of ready) {
      if (signal.aborted) break
      await compactor.compact({ ...segment, volume }, Number.POSITIVE_INFINITY)
      if (!(await this.#maintenance.segments(volume)).some(({ number }) => number === segment.number))
        left.delete(segment.number)
      progress?.(standing(segments.length - ready.length))
    }
    return standing(segments.length - ready.length)
  }

  /** How many blobs have bytes there, by their records. */
  async names(volume: string): Promise<number> {
    const all = under('blob', [])
    let count = 0
    for (let { from } = all; ; ) {
      const rows = await this.#foundation.store.snapshot((snapshot) =>
        snapshot.range(from, all.to, { limit: recordsTogether }),
      )
      for (const { value } of rows) {
        const record = decodeBlob(value)
        if (record.kind !== 'bytes') continue
        if (record.holders.some(({ extents }) => extents.some((each) => each.volume === volume))) count += 1
      }
      const last = rows.at(-1)
      if (last === undefined) return count
      from = afterKey(last.key)
    }
  }
}
