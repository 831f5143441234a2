import { type Context, operation } from '#gateway/operations/operation.ts'
import { conditionsWith, writeConditions } from '#gateway/wire/conditions.ts'
import { type CopySource, parseCopySource } from '#gateway/wire/copy-source.ts'
import { decodeCustomerKey } from '#gateway/wire/encryption-headers.ts'
import { Fault } from '#src/errors.ts'
import type { Conditions } from '#src/model/conditions.ts'
import type { Written } from '#src/service/services.ts'
import { bothGuards, nameOf } from './target.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_RenameObject.html */
export const renameObject = operation({
  name: 'RenameObject',
  match: { method: 'PUT', scope: 'object', keys: ['renameObject'] },
  action: 's3:PutObject',

  decode({ headers, bucket }) {
    const source = headers['x-amz-rename-source']
    if (source === undefined) {
      throw new Fault('InvalidRequest', { message: 'Missing required header for this request: x-amz-rename-source' })
    }
    return {
      source: parseRenameSource(source, bucket),
      conditions: writeConditions(headers),
      sourceConditions: conditionsWith('x-amz-rename-source-', headers),
    }
  },

  run: ({ source, ...both }, context) => renameTo(source, both, context),
  encode: () => ({ status: 200 }),
})

/** AWS's own clients send the bare key, or bucket and key, with a slash before it or not. */
function parseRenameSource(text: string, bucket: string): CopySource {
  const path = text.replace(/^\//, '')
  return parseCopySource(path.startsWith(`${bucket}/`) ? path : `${bucket}/${path}`)
}

interface RenameConditions {
  readonly conditions: Conditions
  readonly sourceConditions: Conditions
}

/**
 * A rename reads and deletes its source, and writes its target: the caller must be allowed all three. What a customer's key
 * encrypts can be sealed for its new name with that key only, so the request must bring it.
 */
export async function renameTo(source: CopySource, both: RenameConditions, context: Context): Promise<Written> {
  const { authorize, services, guard, request } = context
  const customerKey = decodeCustomerKey(request.headers, 'source') ?? decodeCustomerKey(request.headers)
  if (source.versionId !== undefined) {
    throw new Fault('InvalidArgument', { message: 'A rename has no source version', ArgumentName: 'versionId' })
  }
  const readGuard = await authorize('s3:GetObject', source.name)
  const deleteGuard = await authorize('s3:DeleteObject', source.name)
  return await services.objects.rename({
    source: source.name,
    target: nameOf(request),
    ...both,
    ...(customerKey !== undefined && { customerKey }),
    guard,
    sourceGuard: bothGuards(readGuard, deleteGuard),
    cause: request,
  })
}
