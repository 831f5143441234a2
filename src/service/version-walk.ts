import { decodeSummary } from '#src/metadata/version-codec.ts'
import type { DeleteMarker, ObjectSummary } from '#src/model/version.ts'
import type { Entry } from '#src/store/store.ts'
import type { ListingScan } from './listing-scan.ts'

export interface VersionStep {
  readonly key: string
  readonly version: ObjectSummary | DeleteMarker
  readonly isLatest: boolean
  /** The whole record. */
  readonly record: Uint8Array
}

/**
 * All versions, each once: those under `version`, and the `null` versions that lie under `current` alone. Keys in order, of
 * each the newest first.
 */
export class VersionWalk {
  readonly #current: ListingScan
  readonly #versions: ListingScan
  /** Where the step before came from. */
  #stood: ListingScan | undefined
  #keyBefore: string | undefined

  /** `keyShown`: the latest version of this key was shown by a page before. */
  constructor(current: ListingScan, versions: ListingScan, keyShown: string | undefined) {
    this.#current = current
    this.#versions = versions
    this.#keyBefore = keyShown
  }

  async step(): Promise<VersionStep | undefined> {
    const [scan, row, version] = (await this.#next()) ?? []
    if (scan === undefined || row === undefined || version === undefined) return undefined
    const key = scan.reader(row).text()
    const isLatest = key !== this.#keyBefore
    this.#keyBefore = key
    this.#stood = scan
    return { key, version, isLatest, record: row.value }
  }

  /** On behind the last step, or behind everything that starts with the prefix. */
  goOn(prefix: string | undefined): void {
    this.#stood?.advance()
    if (prefix === undefined) return
    this.#current.pass(prefix)
    this.#versions.pass(prefix)
  }

  async #next(): Promise<[ListingScan, Entry, ObjectSummary | DeleteMarker] | undefined> {
    const version = this.#versions.read ?? (await this.#versions.peek())
    for (;;) {
      const current = this.#current.read ?? (await this.#current.peek())
      if (current === undefined || (version !== undefined && compareKeys(current, version) > 0)) {
        return version === undefined ? undefined : [this.#versions, version, decodeSummary(version.value)]
      }
      const summary = decodeSummary(current.value)
      // What is current and `null` lies here alone, and is the newest of its key; any other lies under `version` too.
      if (summary.isNull) return [this.#current, current, summary]
      this.#current.advance()
    }
  }
}

/** Of a row under `current` and one under `version`, by bucket and key: behind the subspace, the former is those alone. */
function compareKeys(current: Entry, version: Entry): number {
  const size = current.key.length
  return Buffer.compare(current.key.subarray(1), version.key.subarray(1, size))
}
