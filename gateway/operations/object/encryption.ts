import type { S3Request } from '#gateway/operations/operation.ts'
import { decodeEncryption } from '#gateway/wire/encryption-headers.ts'
import { Fault } from '#src/errors.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { EncryptionWish } from '#src/model/encryption.ts'

/** How a new object is to be encrypted. Asked once the caller is authorized: a policy may refuse just these headers. */
export function encryptionOf({ headers }: S3Request, { encryption: setting }: Bucket): EncryptionWish | undefined {
  const encryption = decodeEncryption(headers, setting)
  if (encryption?.kind === 'SSE-C' && setting?.blocksCustomerKeys === true) throw new Fault('AccessDenied')
  return encryption
}
