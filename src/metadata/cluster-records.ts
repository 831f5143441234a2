import type { Membership } from '#src/model/region.ts'
import type { Snapshot, Transaction } from '#src/store/store.ts'
import { DecodedRows } from './decoded-rows.ts'
import { decodeJson, encodeJson } from './json-rows.ts'
import { keys } from './keyspace.ts'
import { clusterKey } from './namespace-keys.ts'

/** Which cell this is, as it keeps it itself: a restart finds it again. */
export interface Self {
  /** 0–999, given by the root once, ever. */
  readonly cell: number
  /** 32 hexadecimal digits, drawn at its birth: others' cursors on its feeds belong to it (C15). */
  readonly incarnation: string
  /** Its incarnation before it was copied to another store, as long as the root may not know of the new one. */
  readonly was?: string
  readonly region: string
  readonly geography: string
  /** Where its peer API is, as an origin. */
  readonly peer: string
  /** It was told that it is no member any more, and serves nothing (C16). */
  readonly isRemoved?: boolean
}

const format = 1
/** A thousand cells of ordinary size. */
const decodedBytes = 512 * 1024

/**
 * The cells that there are, in whatever transaction or snapshot the caller has open.
 *
 * Y1  a cell's number is given once, ever: members that were removed stay in the row (C16).
 */
export class ClusterRecords {
  readonly #rows = new DecodedRows((bytes) => decodeJson<Membership>(format, bytes), decodedBytes)

  /** Undefined: this store is a single node's. Cheap where the row did not change. */
  async membership(from: Snapshot): Promise<Membership | undefined> {
    const bytes = await from.get(clusterKey)
    return bytes === undefined ? undefined : this.#rows.value('', bytes)
  }

  setMembership(to: Transaction, membership: Membership): void {
    to.set(clusterKey, encodeJson(format, membership))
  }
}

export async function readSelf(from: Snapshot): Promise<Self | undefined> {
  const bytes = await from.get(keys.self)
  return bytes === undefined ? undefined : decodeJson<Self>(format, bytes)
}

export function setSelf(to: Transaction, self: Self): void {
  to.set(keys.self, encodeJson(format, self))
}
