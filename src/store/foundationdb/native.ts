import { createRequire } from 'node:module'
import { dirname } from 'node:path'

/**
 * The native part of the npm package `foundationdb`, and no more of the package than that: its JavaScript adds a retry loop, encoders
 * and string keys, all of which the store does its own way. Keys and values must be Buffers: the addon loses count of a string's memory,
 * and ends the process at the second one.
 */
export interface NativeModule {
  FDBError: typeof FdbError
  setAPIVersion(version: number): void
  setNetworkOption(code: number, value: Buffer | number | null): void
  startNetwork(): void
  stopNetwork(): void
  createDatabase(clusterFile?: string): NativeDatabase
  errorPredicate(test: number, code: number): boolean
}

export interface NativeDatabase {
  createTransaction(): NativeTransaction
  setOption(code: number, value: Buffer | number | null): void
  close(): void
}

export interface NativeTransaction {
  setOption(code: number, value: Buffer | number | null): void
  get(key: Buffer, isSnapshot: boolean): Promise<Buffer | null | undefined>
  getRange(
    from: Buffer,
    fromOrEqual: boolean,
    fromOffset: number,
    to: Buffer,
    toOrEqual: boolean,
    toOffset: number,
    limit: number,
    targetBytes: number,
    mode: number,
    iteration: number,
    isSnapshot: boolean,
    isReverse: boolean,
  ): Promise<{ readonly results: readonly (readonly [Buffer, Buffer])[]; readonly more: boolean }>
  set(key: Buffer, value: Buffer): void
  clear(key: Buffer): void
  clearRange(from: Buffer, to: Buffer): void
  atomicOp(kind: number, key: Buffer, operand: Buffer): void
  addReadConflictRange(from: Buffer, to: Buffer): void
  watch(key: Buffer, ignoresStandardErrors: boolean): { readonly promise: Promise<boolean>; cancel(): void }
  getReadVersion(): Promise<Buffer>
  setReadVersion(version: Buffer): void
  getApproximateSize(): Promise<number>
  commit(): Promise<void>
  /** Waits as long as FoundationDB thinks it wise, and makes the transaction anew; rejects what cannot be tried again. */
  onError(code: number): Promise<void>
  cancel(): void
}

/** What FoundationDB refused, or could not do; the numbers are in its documentation, API Error Codes. */
export class FdbError extends Error {
  readonly code: number

  constructor(description: string, code: number) {
    super(`${description} (FoundationDB error ${code})`)
    this.code = code
  }
}

export const errors = {
  transactionTooOld: 1007,
  transactionCancelled: 1025,
  timedOut: 1031,
  operationCancelled: 1101,
  networkOption: 2006,
  transactionTooLarge: 2101,
} as const

export const networkOptions = { tlsCertificate: 43, tlsKey: 46, tlsVerifyPeers: 47, tlsAuthority: 53 } as const
export const databaseOptions = { maxWatches: 20, datacenterId: 22, timeout: 500, maxRetryDelay: 502 } as const
export const transactionOptions = { readYourWritesDisable: 51, timeout: 500 } as const
export const mutations = { add: 2, setVersionstampedKey: 14, setVersionstampedValue: 15 } as const
export const predicates = { isRetryable: 50_000, mayHaveCommitted: 50_001, isRetryableNotCommitted: 50_002 } as const
/** As many rows and bytes as were asked for, without guessing how many of them will be wanted. */
export const exactly = 0

/** The newest that the addon was built for; clusters of 7.1 and later take it. */
const apiVersion = 720

/** Why FoundationDB cannot be used by this process: said to whoever started it, in one line. */
export class FoundationDbUnusable extends Error {}

export interface TlsFiles {
  readonly certificate?: string | undefined
  readonly key?: string | undefined
  readonly authority?: string | undefined
  readonly verifyPeers?: string | undefined
}

let loaded: { readonly module: NativeModule; readonly tls: string } | undefined

/**
 * Loads the client library and starts its thread, both once a process: the library allows no second time, and no change of its TLS
 * files after the first. Throws FoundationDbUnusable.
 */
export function startClient(tls: TlsFiles): NativeModule {
  const wanted = JSON.stringify(tls)
  if (loaded !== undefined) {
    if (loaded.tls !== wanted) throw new FoundationDbUnusable('one process has one set of TLS files for FoundationDB')
    return loaded.module
  }
  const module = loadAddon()
  try {
    module.setAPIVersion(apiVersion)
    for (const [code, file] of [
      [networkOptions.tlsCertificate, tls.certificate],
      [networkOptions.tlsKey, tls.key],
      [networkOptions.tlsAuthority, tls.authority],
      [networkOptions.tlsVerifyPeers, tls.verifyPeers],
    ] as const) {
      if (file !== undefined) module.setNetworkOption(code, Buffer.from(file))
    }
    module.startNetwork()
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new FoundationDbUnusable(
      `FoundationDB's client library does not work as it should: ${reason}; is libfdb_c of version 7.1 or later, and the same as the cluster's?`,
      { cause },
    )
  }
  // The thread must have ended before the process takes its memory apart.
  process.on('exit', () => module.stopNetwork())
  loaded = { module, tls: wanted }
  return module
}

const instead = 'or keep the metadata embedded, with `--metadata lmdb`'

function loadAddon(): NativeModule {
  const require = createRequire(import.meta.url)
  let file: string
  try {
    file = require.resolve('foundationdb/package.json')
  } catch (cause) {
    const missing = 'the npm package `foundationdb` is not installed: run `npm ci` again without `--omit=optional`'
    throw new FoundationDbUnusable(`${missing}, ${instead}`, { cause })
  }
  try {
    // The package's own loader finds the build for this machine; its index.js would write to the console where there is none.
    const load: (path: string) => NativeModule = createRequire(file)('node-gyp-build')
    const module = load(dirname(file))
    module.FDBError = FdbError
    return module
  } catch (cause) {
    const reason = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause)
    throw new FoundationDbUnusable(
      `FoundationDB's client library cannot be loaded (${reason}): install libfdb_c of the cluster's version, from the package foundationdb-clients of FoundationDB's releases, ${instead}`,
      { cause },
    )
  }
}
