import type { BlobId } from '#src/model/blob.ts'
import type { Snapshot, Transaction } from '#src/store/store.ts'
import { type BlobRecord, encodeBlob } from './blob-codec.ts'
import {
  addDead,
  copyIn,
  forgetBlob,
  nextCopy,
  readBlob,
  type Sharing,
  setCopy,
  yieldElsewhere,
} from './blob-records.ts'
import { addBlobJob } from './jobs.ts'
import { keys } from './keyspace.ts'
import { noteFound, noteLost } from './succession-records.ts'

/**
 * What a blob's keeper decides, each in one transaction (C19).
 *
 * V1  a copy counts only once it is recorded here, under its number; a message about a copy that was given up since, however
 *     late, does not bring it back.
 * V2  of two copies that want to go, the second finds the first gone: what is left never falls below what the blob needs, and this
 *     cell's own is one of them, which it has read: of others it only knows that they were good once.
 * V5  one cell keeps a blob for another from the commit on in which it has a good copy, and names it; that it may go is believed
 *     of a copy only from the keeper that its cell knows in the transaction that gives it up.
 */
export interface Copy {
  readonly blob: BlobId
  readonly region: string
  readonly copy: number
}

/**
 * `unknown`: the blob is not known here (any more). `stale`: a copy with this number, or a larger one, was given up. `elsewhere`: another
 * cell keeps it; whoever asks had not heard of the blob yet when that was told, or of its keeper from before.
 */
export type HeldWord = 'held' | 'stale' | 'unknown' | 'elsewhere'

export interface Held {
  readonly word: HeldWord
  /** Of a stale one: the largest number that was given up. Of one that is kept elsewhere: the cell's number. */
  readonly last: number
}

/** `wait`: too few others are left. `freed`: nobody names the blob any more. */
export type Let = 'freed' | 'granted' | 'wait'

const releasedOf = ({ released = [] }: BlobRecord, region: string): number =>
  released.find((each) => each.region === region)?.copy ?? -1

/** Counts a copy, if this cell is the blob's keeper. */
export async function hold(to: Transaction, { blob, region, copy }: Copy, cell: number): Promise<Held> {
  const record = await readBlob(to, blob)
  if (record?.kind !== 'bytes') return { word: 'unknown', last: 0 }
  if (record.keeper !== cell) return { word: 'elsewhere', last: record.keeper }
  const last = releasedOf(record, region)
  if (copy <= last) return { word: 'stale', last }
  const known = record.holders.find((each) => each.region === region)
  if (known === undefined || (known.copy ?? 0) < copy) {
    const others = record.holders.filter((each) => each.region !== region)
    to.set(keys.blob(blob), encodeBlob({ ...record, holders: [...others, { region, extents: [], copy }] }))
  }
  return { word: 'held', last: 0 }
}

/** What a keeper goes by when a copy wants to go. */
export interface Counting {
  /** This cell: its own copy counts where its place is known. */
  readonly here: Sharing
  /** So many others have to be left. */
  readonly needed: number
  /** Whether copies of a region count: not where its cell is going, or gone. */
  readonly isCounted: (region: string) => boolean
}

/** The regions whose copies count, as the blob's keeper knows them. */
export const countedIn = (record: BlobRecord, { here, isCounted }: Pick<Counting, 'here' | 'isCounted'>) =>
  record.holders
    .map(({ region }) => region)
    .filter((region) => isCounted(region) && (region !== here.region || copyIn(record, here.region) !== undefined))

/** Counts a copy no more, where enough others are left, and this cell is the blob's keeper. */
export async function release(to: Transaction, given: Copy, counting: Counting): Promise<Let> {
  const record = await readBlob(to, given.blob)
  if (record?.kind !== 'bytes') return 'freed'
  // What another cell counts is nothing to go by here.
  if (record.keeper !== counting.here.cell) return 'wait'
  const left = countedIn(record, counting).filter((region) => region !== given.region)
  if (left.length < counting.needed) return 'wait'
  if (!left.includes(counting.here.region)) return 'wait'
  drop(to, record, given)
  return 'granted'
}

/** Counts a copy no more that was found damaged: however few are left, it is none. */
export async function lose(to: Transaction, given: Copy): Promise<void> {
  const record = await readBlob(to, given.blob)
  if (record?.kind === 'bytes') drop(to, record, given)
}

function drop(to: Transaction, record: BlobRecord, { blob, region, copy }: Copy): void {
  // A later one than what is given up stays; a late repeat changes nothing.
  const holders = record.holders.filter((each) => each.region !== region || (each.copy ?? 0) > copy)
  const last = Math.max(copy, releasedOf(record, region))
  const released = [...(record.released ?? []).filter((each) => each.region !== region), { region, copy: last }]
  to.set(keys.blob(blob), encodeBlob({ ...record, holders, released }))
}

/** Says, under a token, that this cell names a blob no more; false where it does. Naming it again takes the word back. */
export async function vote(to: Transaction, blob: BlobId, token: Uint8Array): Promise<boolean> {
  if (await isNamed(to, blob)) return false
  to.set(keys.vote(blob), token)
  return true
}

/** Whether this cell named the blob at no time since it said so. */
export async function isVoteGood(from: Snapshot, blob: BlobId, token: Uint8Array): Promise<boolean> {
  const given = await from.get(keys.vote(blob))
  return given !== undefined && Buffer.compare(given, token) === 0 && !(await isNamed(from, blob))
}

export function clearVote(to: Transaction, blob: BlobId): void {
  to.clear(keys.vote(blob))
}

async function isNamed(from: Snapshot, blob: BlobId): Promise<boolean> {
  const record = await readBlob(from, blob)
  return record !== undefined && (record.kind === 'manifest' || record.isUnreferenced === undefined)
}

/** Frees a blob that all cells said they name no more; false where this one does again. */
export async function freeKept(to: Transaction, blob: BlobId, token: Uint8Array): Promise<boolean> {
  if (!(await isVoteGood(to, blob, token))) return false
  const record = await readBlob(to, blob)
  if (record?.kind === 'bytes') forgetBlob(to, blob, record)
  clearVote(to, blob)
  return true
}

/** `unnamed`: nothing here names the blob. `wait`: there is no copy here yet. */
export type Adopted = 'adopted' | 'unnamed' | 'wait'

/** Makes this cell the keeper of a blob that it names, and of which it has a good copy: others count once their cells say so. */
export async function adopt(to: Transaction, blob: BlobId, here: Sharing): Promise<Adopted> {
  const record = await readBlob(to, blob)
  if (record?.kind !== 'bytes' || record.isUnreferenced === true) return 'unnamed'
  const own = copyIn(record, here.region)
  if (own === undefined) return 'wait'
  if (record.keeper === here.cell) {
    // It may be about to hand it to whoever asks: that comes to nothing then.
    setCopy(to, blob, record, { ...own, copy: nextCopy(0, record, here.region) })
    return 'adopted'
  }
  const { released: _, ...rest } = record
  to.set(keys.blob(blob), encodeBlob({ ...rest, keeper: here.cell, holders: [own] }))
  return 'adopted'
}

/** As `adopt`, of a blob of which no region has a copy: that it is lost is what its new keeper tells from now on. */
export async function adoptLost(
  to: Transaction,
  blob: BlobId,
  { here, now }: { readonly here: Sharing; readonly now: number },
): Promise<Adopted> {
  const record = await readBlob(to, blob)
  if (record?.kind !== 'bytes' || record.isUnreferenced === true) return 'unnamed'
  if (copyIn(record, here.region) !== undefined) return 'wait'
  const { released: _, ...rest } = record
  to.set(keys.blob(blob), encodeBlob({ ...rest, keeper: here.cell, holders: [] }))
  await noteLost(to, blob, now)
  return 'adopted'
}

/** Which copy a cell keeps a blob with: another one than before once the keeping came back to it. */
export const keptWith = (record: BlobRecord, { region }: Pick<Sharing, 'region'>): number => {
  const own = copyIn(record, region)
  return own === undefined ? -1 : (own.copy ?? 0)
}

/** From now on that cell keeps the blob, which adopted it when this one offered it as kept `with`: unless it came back since. */
export async function handOver(
  to: Transaction,
  blob: BlobId,
  { keeper, with: offered, here }: { readonly keeper: number; readonly with: number; readonly here: Sharing },
): Promise<void> {
  const record = await readBlob(to, blob)
  if (record?.kind !== 'bytes' || record.keeper !== here.cell || keptWith(record, here) !== offered) return
  setKeeper(to, blob, record, keeper, here)
}

/** From now on that cell keeps the blob, if it is known here, and not kept: what this cell keeps it hands over itself. A copy here is told to it. */
export async function keptBy(to: Transaction, blob: BlobId, keeper: number, here: Sharing): Promise<void> {
  const record = await readBlob(to, blob)
  if (record?.kind !== 'bytes' || record.keeper === keeper || record.keeper === here.cell) return
  setKeeper(to, blob, record, keeper, here)
}

function setKeeper(to: Transaction, blob: BlobId, record: BlobRecord, keeper: number, here: Sharing): void {
  to.set(keys.blob(blob), encodeBlob({ ...record, keeper }))
  if (copyIn(record, here.region) !== undefined) addBlobJob(to, { kind: 'hold', blob })
}

/** Goes by the word of a cell that is not the keeper it was taken for. That counts nothing: only a keeper itself counts a copy, or lets it go. */
export async function askElsewhere(to: Transaction, blob: BlobId, asked: number, keeper: number): Promise<void> {
  const record = await readBlob(to, blob)
  if (record?.kind === 'bytes' && record.keeper === asked) to.set(keys.blob(blob), encodeBlob({ ...record, keeper }))
}

/** Forgets what nothing names here, and is neither kept nor held here: nobody has to be asked. False: it is otherwise by now. */
export async function forgetUnheld(to: Transaction, blob: BlobId, here: Sharing): Promise<boolean> {
  const record = await readBlob(to, blob)
  if (record?.kind !== 'bytes') return true
  const isHeld = copyIn(record, here.region) !== undefined
  if (record.isUnreferenced !== true || record.keeper === here.cell || isHeld) return false
  forgetBlob(to, blob, record)
  noteFound(to, blob)
  return true
}

/** What a `leave` came to: the blob is gone here, or named again, or has another copy than was asked about. */
export type Left = 'gone' | 'named' | 'other'

/** Gives the copy here up, after `keeper` let go of it. */
export async function giveUp(to: Transaction, { blob, region, copy }: Copy, keeper: number): Promise<Left> {
  const record = await readBlob(to, blob)
  if (record?.kind !== 'bytes') return 'gone'
  if (record.isUnreferenced === undefined) return 'named'
  if (record.keeper !== keeper) return 'other'
  if ((copyIn(record, region)?.copy ?? 0) > copy) return 'other'
  forgetBlob(to, blob, record)
  return 'gone'
}

/** Gives the copy here up of what is named here, and to be in other regions, after `keeper` let go of it. False: it is another copy now. */
export async function shed(to: Transaction, { blob, region, copy }: Copy, keeper: number): Promise<boolean> {
  const record = await readBlob(to, blob)
  if (record?.kind !== 'bytes') return true
  const own = copyIn(record, region)
  // Who names it no more leaves it, as any.
  if (own === undefined || record.isUnreferenced === true) return true
  if (record.keeper !== keeper || (own.copy ?? 0) > copy) return false
  addDead(to, own.extents)
  to.set(keys.blob(blob), encodeBlob({ ...record, holders: record.holders.filter((each) => each !== own) }))
  return true
}

/** Gives the copy here, if there is one, another number: a copy with the one that it has does not count any more. */
export async function renumber(to: Transaction, blob: BlobId, region: string, now: number): Promise<void> {
  const record = await readBlob(to, blob)
  const own = record?.kind === 'bytes' ? copyIn(record, region) : undefined
  if (record?.kind !== 'bytes' || own === undefined) return
  setCopy(to, blob, record, { ...own, copy: nextCopy(now, record, region) })
}

/** Makes this cell the keeper of a blob whose keeper is gone: it counts its own copy, and of others what they tell it (K1). */
export async function becomeKeeper(to: Transaction, blob: BlobId, here: Sharing): Promise<void> {
  const record = await readBlob(to, blob)
  if (record?.kind !== 'bytes') return
  const { released: _, ...rest } = record
  const own = copyIn(record, here.region)
  to.set(keys.blob(blob), encodeBlob({ ...rest, keeper: here.cell, holders: own === undefined ? [] : [own] }))
  yieldElsewhere(to, blob, record.restriction, here.region)
}

/** Has the copy here, if there is one, counted by another keeper than before, which is gone. */
export async function changeKeeper(to: Transaction, blob: BlobId, keeper: number, region: string): Promise<void> {
  const record = await readBlob(to, blob)
  if (record?.kind !== 'bytes') return
  const { released: _, ...rest } = record
  to.set(keys.blob(blob), encodeBlob({ ...rest, keeper }))
  if (copyIn(record, region) !== undefined) addBlobJob(to, { kind: 'hold', blob })
}

/** Counts the copies of regions no more whose cells are gone, where this cell is the keeper. */
export async function forgetCopies(
  to: Transaction,
  blob: BlobId,
  here: Sharing,
  isGone: (region: string) => boolean,
): Promise<void> {
  const record = await readBlob(to, blob)
  if (record?.kind !== 'bytes' || record.keeper !== here.cell) return
  const holders = record.holders.filter(({ region }) => region === here.region || !isGone(region))
  if (holders.length < record.holders.length) to.set(keys.blob(blob), encodeBlob({ ...record, holders }))
}
