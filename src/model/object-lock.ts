import type { Bucket } from './bucket.ts'
import type { Retention } from './version.ts'

/** How long a bucket retains what is written without a word of its own on that. */
export interface DefaultRetention {
  readonly mode: Retention['mode']
  readonly unit: 'Days' | 'Years'
  readonly count: number
}

/** Among a bucket's documents. */
const document = 'object-lock'

export function defaultRetentionOf({ documents }: Pick<Bucket, 'documents'>): DefaultRetention | undefined {
  const kept = documents[document]
  return kept === undefined ? undefined : (JSON.parse(kept) as DefaultRetention)
}

/** The bucket with locks, and with this default (undefined: none). */
export function withObjectLock(bucket: Bucket, retention: DefaultRetention | undefined): Bucket {
  const { [document]: _before, ...others } = bucket.documents
  const documents = retention === undefined ? others : { ...others, [document]: JSON.stringify(retention) }
  return { ...bucket, hasObjectLock: true, documents }
}

/** Of a version that is written now without a retention of its own. */
export function retentionOfNew(bucket: Bucket, now: number): Retention | undefined {
  if (!bucket.hasObjectLock) return undefined
  const retention = defaultRetentionOf(bucket)
  if (retention === undefined) return undefined
  const until = new Date(now)
  if (retention.unit === 'Days') until.setUTCDate(until.getUTCDate() + retention.count)
  else until.setUTCFullYear(until.getUTCFullYear() + retention.count)
  return { mode: retention.mode, until: until.getTime() }
}
