import { subspace } from '#src/metadata/keyspace.ts'
import { Client } from '#src/store/foundationdb/client.ts'
import type { NativeTransaction } from '#src/store/foundationdb/native.ts'
import { TupleReader } from '#src/store/tuple.ts'

/** Of the namespace (namespace-keys.ts). */
const tables: ReadonlyMap<number, string> = new Map([
  [1, 'bucket'],
  [2, 'account'],
  [3, 'access key'],
])

function tableOf(key: Buffer, at: number): string {
  const table = Number(new TupleReader(key, at).integer())
  return tables.get(table) ?? `namespace ${table}`
}

/** What a process asks of FoundationDB, in order, as `get current`; `version`: a read version, with the first read of a transaction. */
export class CountedOperations {
  readonly #noted: string[] = []
  readonly #prefixBytes: number
  /** Whether anything was answered since the last question: then the next one may have waited for that. */
  #isAnswered = true
  #waits = 0

  /** Counts for all stores below prefixes of this length that the process opens from now on. */
  constructor(prefix: string) {
    // One byte tells the store's parts apart (client.ts).
    this.#prefixBytes = Buffer.byteLength(prefix) + 1
    const { transaction } = Client.prototype
    const counted = (native: NativeTransaction): NativeTransaction => this.#counted(native)
    Client.prototype.transaction = function (this: Client): NativeTransaction {
      return counted(transaction.call(this))
    }
  }

  /** What was asked since the last call. */
  take(): readonly string[] {
    this.#isAnswered = true
    this.#waits = 0
    return this.#noted.splice(0)
  }

  /** Since then: how often it was asked when there had been an answer. A read version, which is asked for with the first read, comes before. */
  get roundTrips(): number {
    return this.#waits + Number(this.#noted.includes('version'))
  }

  async #answer<Result>(question: Promise<Result>): Promise<Result> {
    if (this.#isAnswered) this.#waits++
    this.#isAnswered = false
    try {
      return await question
    } finally {
      this.#isAnswered = true
    }
  }

  #note(kind: string, key: Buffer): void {
    const names = Object.entries(subspace)
    const part = key[this.#prefixBytes - 1]
    const name = names.find(([, byte]) => byte === key[this.#prefixBytes])?.[0]
    const row = name === 'namespace' ? tableOf(key, this.#prefixBytes + 1) : (name ?? '?')
    this.#noted.push(`${kind} ${part === 1 ? row : part === 2 ? 'mark' : 'about'}`)
  }

  #counted(native: NativeTransaction): NativeTransaction {
    let hasVersion = false
    const begin = (): void => {
      if (!hasVersion) this.#noted.push('version')
      hasVersion = true
    }
    const noted =
      <Rest extends readonly unknown[], Result>(kind: string, call: (key: Buffer, ...rest: Rest) => Result) =>
      (key: Buffer, ...rest: Rest): Result => {
        if (kind === 'get' || kind === 'range') begin()
        this.#note(kind, key)
        return call(key, ...rest)
      }
    const atomic = (kind: number, key: Buffer, operand: Buffer): void => {
      this.#note('atomic', key)
      native.atomicOp(kind, key, operand)
    }
    return {
      setOption: native.setOption.bind(native),
      get: noted('get', (...read: Parameters<NativeTransaction['get']>) => this.#answer(native.get(...read))),
      getRange: noted('range', (...read: Parameters<NativeTransaction['getRange']>) =>
        this.#answer(native.getRange(...read)),
      ),
      set: noted('set', native.set.bind(native)),
      clear: noted('clear', native.clear.bind(native)),
      clearRange: noted('clearRange', native.clearRange.bind(native)),
      atomicOp: atomic,
      addReadConflictRange: native.addReadConflictRange.bind(native),
      watch: native.watch.bind(native),
      getReadVersion: () => {
        begin()
        return native.getReadVersion()
      },
      setReadVersion: (version) => {
        hasVersion = true
        native.setReadVersion(version)
      },
      getApproximateSize: native.getApproximateSize.bind(native),
      commit: () => {
        begin()
        this.#noted.push('commit')
        return this.#answer(native.commit())
      },
      onError: async (code) => {
        await native.onError(code)
        hasVersion = false
      },
      cancel: native.cancel.bind(native),
    }
  }
}
