import type { Snapshot, Transaction } from '#src/store/store.ts'
import { decodeJson, encodeJson } from './json-rows.ts'
import { keys } from './keyspace.ts'
import { noPosition } from './namespace-feed.ts'

/** How far a replica of the namespace has come. */
export interface NamespaceCursor {
  /** Incarnation of the root that it follows: positions of another mean nothing. */
  readonly incarnation: string
  readonly position: Uint8Array
  /** Key behind which the first copy goes on; absent: it is whole. */
  readonly copiedTo?: Uint8Array
}

/** A place in what a root has changed: those of two roots, or of two reigns of one, compare to nothing. */
export type NamespacePlace = Pick<NamespaceCursor, 'incarnation' | 'position'>

interface Row {
  readonly incarnation: string
  readonly position: string
  readonly copiedTo?: string
}

const format = 1

export async function readNamespaceCursor(from: Snapshot): Promise<NamespaceCursor | undefined> {
  const bytes = await from.get(keys.namespaceCursor)
  if (bytes === undefined) return undefined
  const { incarnation, position, copiedTo } = decodeJson<Row>(format, bytes)
  const cursor = { incarnation, position: Buffer.from(position, 'hex') }
  return copiedTo === undefined ? cursor : { ...cursor, copiedTo: Buffer.from(copiedTo, 'hex') }
}

export function setNamespaceCursor(to: Transaction, { incarnation, position, copiedTo }: NamespaceCursor): void {
  const row: Row = { incarnation, position: Buffer.from(position).toString('hex') }
  const whole = copiedTo === undefined ? row : { ...row, copiedTo: Buffer.from(copiedTo).toString('hex') }
  to.set(keys.namespaceCursor, encodeJson(format, whole))
}

/** Milliseconds since the epoch; undefined: never. */
export async function readNamespaceHeard(from: Snapshot): Promise<number | undefined> {
  const bytes = await from.get(keys.namespaceHeard)
  return bytes === undefined ? undefined : decodeJson<number>(format, bytes)
}

export function setNamespaceHeard(to: Transaction, at: number): void {
  to.set(keys.namespaceHeard, encodeJson(format, at))
}

/** How far that cell has said that it followed this root. */
export async function readConfirmed(from: Snapshot, cell: number): Promise<Uint8Array> {
  return Uint8Array.from((await from.get(keys.namespaceConfirmed(cell))) ?? noPosition)
}

export function setConfirmed(to: Transaction, cell: number, position: Uint8Array): void {
  to.set(keys.namespaceConfirmed(cell), position)
}

export function clearNamespaceCursor(to: Transaction): void {
  to.clear(keys.namespaceCursor)
}

/** That a root, which is lost, is not followed any more, while another one takes its place. */
export interface Forsaken {
  /** As the cursor has it. */
  readonly root: string
  /** That of the one that is lost: none of that reign, or an earlier one, is followed. Absent: `root` alone is not. */
  readonly reign?: number
  /** Milliseconds since the epoch. */
  readonly until: number
}

export function forsake(to: Transaction, forsaken: Forsaken): void {
  to.set(keys.namespaceForsaken, encodeJson(format, forsaken))
}

/** `followed`: a root, and its reign. */
export async function isForsaken(
  from: Snapshot,
  followed: { readonly root: string; readonly reign: number },
  now: number,
): Promise<boolean> {
  const bytes = await from.get(keys.namespaceForsaken)
  if (bytes === undefined) return false
  const { root, reign = -1, until } = decodeJson<Forsaken>(format, bytes)
  return until > now && (root === followed.root || followed.reign <= reign)
}
