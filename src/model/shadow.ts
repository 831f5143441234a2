import type { SealedSecret } from './encryption.ts'

/** Where else a bucket's objects may be: a bucket of another S3, which is asked for what is not here (C21). */
export interface Shadow {
  /** Random: another configuration has another, and what was begun under one is not finished under the next. */
  readonly id: string
  readonly endpoint: string
  readonly region: string
  /** Of the bucket there. */
  readonly name: string
  readonly accessKey: string
  readonly secret: SealedSecret
  /** Whether what is written and deleted here is written and deleted there too. */
  readonly writeThrough: boolean
}

/** As its owner gives it. */
export interface ShadowOptions extends Omit<Shadow, 'id' | 'secret'> {
  readonly secretKey: string
}

/** Clocks of two cells may differ by so much, and the bucket's first write must come after all that is brought. */
const marginMilliseconds = 60_000

/**
 * The stamp of what is brought from a shadow: older than anything that was ever written or deleted in the bucket, in whichever
 * cell, since the bucket itself is younger. So where cells meet, a write or a delete here wins.
 */
export const importStamp = (created: number, cell: number): bigint =>
  BigInt(Math.max(1, created - marginMilliseconds)) * 1_000_000n + BigInt(cell)

export type MigrationState = 'running' | 'done' | 'cancelled'

/** How far the copying of everything in a shadow has come. */
export interface Migration {
  readonly shadow: string
  readonly state: MigrationState
  /** Milliseconds since the epoch. */
  readonly started: number
  readonly ended?: number
  /** The last key of the pages that are done. */
  readonly after?: string
  /** Keys of those pages. */
  readonly listed: number
  /** Of these: known here already, by a record or a tombstone, when they were looked at. */
  readonly known: number
  /** Gone from there between the list and the reading. */
  readonly gone: number
  /** That the shadow or this store refuses one by one; a new migration tries them again. */
  readonly failed: number
  /** The first of them, and why. */
  readonly failures: readonly { readonly key: string; readonly reason: string }[]
}

/** A migration, and what came to be here since the shadow was configured, by it and by reads. */
export interface MigrationProgress {
  readonly migration: Migration | undefined
  readonly imported: { readonly objects: number; readonly bytes: number }
}
