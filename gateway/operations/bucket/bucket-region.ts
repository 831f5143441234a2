import type { Bucket } from '#src/model/bucket.ts'

/** What AWS calls the region of a bucket that was made without naming one. */
const unnamed = 'us-east-1'

/** The region that clients are told to sign for: the one they asked for, as any is accepted in signatures. */
export const regionOf = ({ location }: Pick<Bucket, 'location'>): string => location || unnamed
