import type { Context } from '#gateway/operations/operation.ts'
import { decodeEncryption } from '#gateway/wire/encryption-headers.ts'
import { Fault } from '#src/errors.ts'
import type { EncryptionWish } from '#src/model/encryption.ts'

/** How a new object is to be encrypted. Asked once the caller is authorized: a policy may refuse just these headers. */
export async function encryptionOf({ services, request }: Context): Promise<{ readonly encryption?: EncryptionWish }> {
  const { encryption: setting } = await services.buckets.get(request.bucket)
  const encryption = decodeEncryption(request.headers, setting)
  if (encryption?.kind === 'SSE-C' && setting?.blocksCustomerKeys === true) throw new Fault('AccessDenied')
  return encryption === undefined ? {} : { encryption }
}
