import type { BlobId } from '#src/model/blob.ts'
import type { Snapshot, Transaction } from '#src/store/store.ts'
import { blobOfRow } from './blob-records.ts'
import { decodeJson, encodeJson } from './json-rows.ts'
import { keys, under } from './keyspace.ts'

/** How far a cell is with what cells left behind that are going, or gone. */
export interface SuccessionState {
  /** Of the membership that the last look went by. */
  readonly epoch: number
  /** When it ended, in milliseconds since the epoch. */
  readonly at: number
  /** Blobs that were looked at. */
  readonly blobs: number
  /** Blobs whose keeper is gone, and which have no other yet. */
  readonly orphans: number
  /** Blobs kept here of which too few copies are left, and more were asked for. */
  readonly wanted: number
  /** Blobs kept here of which no region has a copy. */
  readonly lost: number
  /** Blobs kept here of which too few copies are left, while their bucket is in no more regions; absent: none. */
  readonly short?: number
  /** Blobs that were ever inherited here; absent: none. */
  readonly inherited?: number
  /** Cells whose copies are counted no more by any blob kept here. */
  readonly mourned: readonly number[]
}

const format = 1

/** Whether the last look went by this membership, and left nothing to do. */
export const isSettled = (state: SuccessionState | undefined, epoch: number): state is SuccessionState =>
  state?.epoch === epoch && state.orphans + state.wanted === 0

export async function readSuccession(from: Snapshot): Promise<SuccessionState | undefined> {
  const bytes = await from.get(keys.succession)
  return bytes === undefined ? undefined : decodeJson<SuccessionState>(format, bytes)
}

export function setSuccession(to: Transaction, state: SuccessionState): void {
  to.set(keys.succession, encodeJson(format, state))
}

/** Before the first look. */
const unlooked: SuccessionState = { epoch: 0, at: 0, blobs: 0, orphans: 0, wanted: 0, lost: 0, mourned: [] }

/** Of what was inherited there may be too few copies: the next look has to see. */
export async function noteInherited(to: Transaction, count: number): Promise<void> {
  const { wanted, inherited = 0, ...state } = (await readSuccession(to)) ?? unlooked
  setSuccession(to, { ...state, wanted: wanted + count, inherited: inherited + count })
}

/** `since`: milliseconds since the epoch; the first word stands. */
export async function noteLost(to: Transaction, blob: BlobId, since: number): Promise<void> {
  if ((await to.get(keys.lostBlob(blob))) === undefined) to.set(keys.lostBlob(blob), encodeJson(format, since))
}

export function noteFound(to: Transaction, blob: BlobId): void {
  to.clear(keys.lostBlob(blob))
}

export interface LostBlob {
  readonly blob: BlobId
  readonly since: number
}

export async function readLost(from: Snapshot, after: BlobId | undefined, limit: number): Promise<readonly LostBlob[]> {
  const all = under('lostBlob', [])
  const start = after === undefined ? all.from : Buffer.concat([keys.lostBlob(after), Uint8Array.of(0)])
  const rows = await from.range(start, all.to, { limit })
  return rows.map(({ key, value }) => ({ blob: blobOfRow(key), since: decodeJson<number>(format, value) }))
}
