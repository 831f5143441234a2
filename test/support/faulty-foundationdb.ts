import { FdbError, type NativeModule, type NativeTransaction } from '#src/store/foundationdb/native.ts'

/**
 * What a commit may come to though nothing is known of it: it was made; it was not, and never will be; it is still on its way, and
 * may be made after the answer (which is what a timeout, or a change of clusters, may mean). Or it waited for so long that it was refused, as `old`.
 */
export type CommitFault = 'made' | 'lost' | 'late' | 'old'

const transactionTooOld = 1007
const unknownResult = 1021
/** A server that is behind; the client gives it to whoever reads. */
const futureVersion = 1009
const clusterVersionChanged = 1039
/** How late a late commit is, in milliseconds: after the store has asked what became of it. */
const lateness = 40

const none = (): undefined => undefined

/** The client library, but that commits fail as `fault` says, and reads where `isBehind`. */
export function faultyModule(
  module: NativeModule,
  fault: () => CommitFault | undefined,
  isBehind: () => boolean | undefined = none,
): NativeModule {
  return {
    FDBError: module.FDBError,
    setAPIVersion: (version) => module.setAPIVersion(version),
    setNetworkOption: (code, value) => module.setNetworkOption(code, value),
    startNetwork: () => module.startNetwork(),
    stopNetwork: () => module.stopNetwork(),
    errorPredicate: (test, code) => module.errorPredicate(test, code),
    createDatabase(clusterFile) {
      const database = module.createDatabase(clusterFile)
      return {
        setOption: (code, value) => database.setOption(code, value),
        close: () => database.close(),
        createTransaction: () =>
          faulty(database.createTransaction(), () => database.createTransaction(), fault, isBehind),
      }
    },
  }
}

function faulty(
  native: NativeTransaction,
  another: () => NativeTransaction,
  fault: () => CommitFault | undefined,
  isBehind: () => boolean | undefined,
): NativeTransaction {
  /** Reads, writes and conflict ranges, to be done again by the twin that commits late. */
  let calls: ((twin: NativeTransaction) => void)[] = []
  const noted = (call: (on: NativeTransaction) => void): void => {
    call(native)
    calls.push(call)
  }
  return {
    setOption: (code, value) => native.setOption(code, value),
    async get(key, isSnapshot) {
      if (!isSnapshot) calls.push((twin) => twin.addReadConflictRange(key, Buffer.concat([key, Buffer.from([0])])))
      if (isBehind() !== true) return await native.get(key, isSnapshot)
      if (!isSnapshot) native.addReadConflictRange(key, Buffer.concat([key, Buffer.from([0])]))
      throw new FdbError('an injected fault', futureVersion)
    },
    async getRange(...args) {
      if (isBehind() !== true) return await native.getRange(...args)
      // As the client has it: a range that could not be read is no read conflict range.
      throw new FdbError('an injected fault', futureVersion)
    },
    set: (key, value) => noted((on) => on.set(key, value)),
    clear: (key) => noted((on) => on.clear(key)),
    clearRange: (from, to) => noted((on) => on.clearRange(from, to)),
    atomicOp: (kind, key, operand) => noted((on) => on.atomicOp(kind, key, operand)),
    addReadConflictRange: (from, to) => noted((on) => on.addReadConflictRange(from, to)),
    watch: (key, ignores) => native.watch(key, ignores),
    getReadVersion: () => native.getReadVersion(),
    setReadVersion: (version) => native.setReadVersion(version),
    getApproximateSize: () => native.getApproximateSize(),
    cancel: () => native.cancel(),
    onError(code) {
      calls = []
      return native.onError(code)
    },
    async commit() {
      const kind = calls.length === 0 ? undefined : fault()
      if (kind === 'old') throw new FdbError('an injected fault', transactionTooOld)
      if (kind === 'lost') throw new FdbError('an injected fault', unknownResult)
      if (kind === 'late') {
        const twin = another()
        twin.setReadVersion(await native.getReadVersion())
        for (const call of calls) call(twin)
        setTimeout(() => void twin.commit().catch(() => undefined), lateness)
        throw new FdbError('an injected fault', clusterVersionChanged)
      }
      await native.commit()
      if (kind === 'made') throw new FdbError('an injected fault', unknownResult)
    },
  }
}
