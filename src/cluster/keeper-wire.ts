import assert from 'node:assert/strict'
import { RecordReader, RecordWriter } from '#src/metadata/codec.ts'
import type { Adopted, Held, HeldWord, Let } from '#src/metadata/keeping.ts'
import type { BlobId } from '#src/model/blob.ts'

/**
 * What cells and keepers say to each other.
 *
 * `hold`, `release` and `lost` name copies of the region that asks; the answer is a byte for each. `vote` asks cells to say that they
 * name blobs no more, `confirm` whether that is still so; both carry the epoch of the membership that is being asked. `adopt` asks a
 * cell to keep blobs from now on, `kept-by` tells who does.
 */
export interface NumberedCopy {
  readonly blob: BlobId
  readonly copy: number
}

export interface VoteRequest {
  readonly epoch: number
  /** 16 bytes: the round. */
  readonly token: Uint8Array
  readonly blobs: readonly BlobId[]
}

/** Undefined: of another epoch. */
export type VoteAnswer = { readonly heads: Uint8Array; readonly isGood: readonly boolean[] } | undefined

export interface ConfirmRequest extends VoteRequest {
  /** Where the feeds of each cell ended when it voted. */
  readonly heads: readonly (readonly [cell: number, heads: Uint8Array])[]
}

/** `other`: of another epoch. `wait`: not all that was said before the vote has arrived there. */
export type ConfirmAnswer = 'other' | 'wait' | readonly boolean[]

const format = 1
export const tokenBytes = 16
const writer = new RecordWriter()
const heldWords: readonly HeldWord[] = ['held', 'stale', 'unknown', 'elsewhere']
const lets: readonly Let[] = ['freed', 'granted', 'wait']
const adoptions: readonly Adopted[] = ['adopted', 'unnamed', 'wait']

function readerOf(bytes: Uint8Array): RecordReader {
  assert.equal(bytes[0], format, 'a message to a keeper in a known format')
  return new RecordReader(bytes, 1)
}

export function encodeCopies(copies: readonly NumberedCopy[]): Uint8Array {
  writer.byte(format).integer(copies.length)
  for (const { blob, copy } of copies) writer.hex(blob).integer(copy)
  return writer.take()
}

export function decodeCopies(bytes: Uint8Array): readonly NumberedCopy[] {
  const from = readerOf(bytes)
  return from.list(() => ({ blob: from.hex(16), copy: from.integer() }))
}

/** A copy that is to go. */
export interface GivenCopy extends NumberedCopy {
  /** The bucket that named it, and has left the region; of a part of an object, nothing tells its keeper that. */
  readonly bucket?: number
}

/** As `encodeCopies`, and behind it the buckets: releases before this one read no further than they know. */
export function encodeGiven(copies: readonly GivenCopy[]): Uint8Array {
  writer.raw(encodeCopies(copies)).integer(copies.length)
  for (const { bucket = 0 } of copies) writer.integer(bucket)
  return writer.take()
}

export function decodeGiven(bytes: Uint8Array): readonly GivenCopy[] {
  const from = readerOf(bytes)
  const copies = from.list(() => ({ blob: from.hex(16), copy: from.integer() }))
  const buckets = from.ended ? [] : from.list(() => from.integer())
  return copies.map((each, index) => {
    const bucket = buckets[index] ?? 0
    return bucket === 0 ? each : { ...each, bucket }
  })
}

function readWord<Word>(from: RecordReader, all: readonly Word[]): Word {
  const word = all[from.byte()]
  assert.ok(word !== undefined, 'an answer of a keeper that is known')
  return word
}

export function encodeHeld(answers: readonly Held[]): Uint8Array {
  writer.byte(format).integer(answers.length)
  for (const { word, last } of answers) writer.byte(heldWords.indexOf(word)).integer(last)
  return writer.take()
}

export function decodeHeld(bytes: Uint8Array): readonly Held[] {
  const from = readerOf(bytes)
  return from.list(() => ({ word: readWord(from, heldWords), last: from.integer() }))
}

export function encodeLet(words: readonly Let[]): Uint8Array {
  writer.byte(format).integer(words.length)
  for (const word of words) writer.byte(lets.indexOf(word))
  return writer.take()
}

export function decodeLet(bytes: Uint8Array): readonly Let[] {
  const from = readerOf(bytes)
  return from.list(() => readWord(from, lets))
}

export function encodeAdopted(words: readonly Adopted[]): Uint8Array {
  writer.byte(format).integer(words.length)
  for (const word of words) writer.byte(adoptions.indexOf(word))
  return writer.take()
}

export function decodeAdopted(bytes: Uint8Array): readonly Adopted[] {
  const from = readerOf(bytes)
  return from.list(() => readWord(from, adoptions))
}

/** Blobs that a cell is to keep. */
export interface Offer {
  readonly blobs: readonly BlobId[]
  /** Those of which no region has a copy. */
  readonly lost: ReadonlySet<BlobId>
}

/** First the blobs, and behind them which are lost: releases before this one read no further than they know. */
export function encodeOffer({ blobs, lost }: Offer): Uint8Array {
  writer.byte(format).integer(blobs.length)
  for (const blob of blobs) writer.hex(blob)
  writer.integer(blobs.length)
  for (const blob of blobs) writer.byte(lost.has(blob) ? 1 : 0)
  return writer.take()
}

export function decodeOffer(bytes: Uint8Array): Offer {
  const from = readerOf(bytes)
  const blobs = from.list(() => from.hex(16))
  const flags = from.ended ? [] : from.list(() => from.byte())
  return { blobs, lost: new Set(blobs.filter((_, index) => flags[index] === 1)) }
}

/** Who keeps blobs from now on. */
export interface KeptBy {
  readonly keeper: number
  /** Whether the cell that is told is to hold them too. */
  readonly holds: boolean
  readonly blobs: readonly BlobId[]
}

export function encodeKeptBy({ keeper, holds, blobs }: KeptBy): Uint8Array {
  writer
    .byte(format)
    .integer(keeper)
    .byte(holds ? 1 : 0)
    .integer(blobs.length)
  for (const blob of blobs) writer.hex(blob)
  return writer.take()
}

export function decodeKeptBy(bytes: Uint8Array): KeptBy {
  const from = readerOf(bytes)
  return { keeper: from.integer(), holds: from.byte() === 1, blobs: from.list(() => from.hex(16)) }
}

function writeVote({ epoch, token, blobs }: VoteRequest): void {
  writer.byte(format).integer(epoch).raw(token).integer(blobs.length)
  for (const blob of blobs) writer.hex(blob)
}

const readVote = (from: RecordReader): VoteRequest => ({
  epoch: from.integer(),
  token: from.raw(tokenBytes),
  blobs: from.list(() => from.hex(16)),
})

export function encodeVote(request: VoteRequest): Uint8Array {
  writeVote(request)
  return writer.take()
}

export const decodeVote = (bytes: Uint8Array): VoteRequest => readVote(readerOf(bytes))

function writeFlags(flags: readonly boolean[]): void {
  writer.integer(flags.length)
  for (const flag of flags) writer.byte(flag ? 1 : 0)
}

const readFlags = (from: RecordReader): readonly boolean[] => from.list(() => from.byte() === 1)

export function encodeVoteAnswer(answer: VoteAnswer): Uint8Array {
  writer.byte(format).byte(answer === undefined ? 0 : 1)
  if (answer === undefined) return writer.take()
  writer.integer(answer.heads.length).raw(answer.heads)
  writeFlags(answer.isGood)
  return writer.take()
}

export function decodeVoteAnswer(bytes: Uint8Array): VoteAnswer {
  const from = readerOf(bytes)
  if (from.byte() === 0) return undefined
  return { heads: from.raw(from.integer()), isGood: readFlags(from) }
}

export function encodeConfirm(request: ConfirmRequest): Uint8Array {
  writeVote(request)
  writer.integer(request.heads.length)
  for (const [cell, heads] of request.heads) writer.integer(cell).integer(heads.length).raw(heads)
  return writer.take()
}

export function decodeConfirm(bytes: Uint8Array): ConfirmRequest {
  const from = readerOf(bytes)
  const vote = readVote(from)
  return { ...vote, heads: from.list(() => [from.integer(), from.raw(from.integer())] as const) }
}

const confirmations = ['other', 'wait', 'said'] as const

export function encodeConfirmAnswer(answer: ConfirmAnswer): Uint8Array {
  const isWord = typeof answer === 'string'
  writer.byte(format).byte(confirmations.indexOf(isWord ? answer : 'said'))
  if (!isWord) writeFlags(answer)
  return writer.take()
}

export function decodeConfirmAnswer(bytes: Uint8Array): ConfirmAnswer {
  const from = readerOf(bytes)
  const word = confirmations[from.byte()]
  if (word === 'other' || word === 'wait') return word
  return readFlags(from)
}
