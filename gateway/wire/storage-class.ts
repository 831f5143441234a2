import { Fault } from '#src/errors.ts'

/** Names only, for now: every class is stored the same way. https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html */
const storageClasses = new Set([
  'STANDARD',
  'REDUCED_REDUNDANCY',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'GLACIER',
  'GLACIER_IR',
  'DEEP_ARCHIVE',
])

export const storageClassDefault = 'STANDARD'

export function decodeStorageClass(text: string | undefined): string {
  if (text === undefined) return storageClassDefault
  if (!storageClasses.has(text)) throw new Fault('InvalidStorageClass', { StorageClassRequested: text })
  return text
}

/** Headers leave the default out. */
export function encodeStorageClass(storageClass: string, to: Record<string, string>): void {
  if (storageClass !== storageClassDefault) to['x-amz-storage-class'] = storageClass
}
