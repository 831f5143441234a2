import { Fault } from '#src/errors.ts'

export interface ObjectName {
  readonly bucket: string
  readonly key: string
}

/** Of S3 keys, in bytes of UTF-8. */
export const keyBytesMax = 1024

const bucketName = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/
const ipv4 = /^\d{1,3}(\.\d{1,3}){3}$/

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html; each label must be one of DNS. */
export function isBucketName(name: string): boolean {
  if (!bucketName.test(name) || ipv4.test(name) || /\.[.-]|-\./.test(name)) return false
  if (name.startsWith('xn--') || name.startsWith('sthree-')) return false
  return !/(-s3alias|--ol-s3|\.mrap|--x-s3)$/.test(name)
}

export function checkBucketName(name: string): void {
  if (!isBucketName(name)) throw new Fault('InvalidBucketName', { BucketName: name })
}

/** Rejects what S3 rejects: the empty key, and more than 1,024 bytes of UTF-8. */
export function checkKey(key: string): void {
  if (key === '') throw new Fault('InvalidURI')
  // A UTF-16 unit is at most three bytes of UTF-8: short keys need no counting.
  if (key.length * 3 <= keyBytesMax) return
  const size = Buffer.byteLength(key)
  if (size > keyBytesMax) throw new Fault('KeyTooLongError', { Size: size, MaxSizeAllowed: keyBytesMax })
}
