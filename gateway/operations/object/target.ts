import type { Context, S3Request } from '#gateway/operations/operation.ts'
import { Fault } from '#src/errors.ts'
import type { Guard } from '#src/model/guard.ts'
import type { ObjectName } from '#src/model/names.ts'

/** The object, or the version of it, that a request names. */
export interface Target {
  readonly name: ObjectName
  readonly versionId?: string
}

export const nameOf = ({ bucket, key }: S3Request): ObjectName => ({ bucket, key })

export function targetOf(request: S3Request): Target {
  const versionId = request.query.get('versionId')
  if (versionId === undefined) return { name: nameOf(request) }
  if (versionId === '') {
    throw new Fault('InvalidArgument', {
      message: 'Version id cannot be the empty string',
      ArgumentName: 'versionId',
      ArgumentValue: '',
    })
  }
  return { name: nameOf(request), versionId }
}

/** Many actions have a name of their own where a version is named (T4). */
export const actionOf =
  (current: string, ofVersion: string) =>
  ({ query }: S3Request): string =>
    query.has('versionId') ? ofVersion : current

/** Both must agree. */
export const bothGuards =
  (first: Guard, second: Guard): Guard =>
  (version, bucket) => {
    first(version, bucket)
    second(version, bucket)
  }

/** For what touches no object: lets the guard say what is left to say of the bucket. */
export async function passGuard({ guard, services, request }: Context): Promise<void> {
  guard(undefined, await services.buckets.get(request.bucket))
}

/** The guard, and that of governance where the caller asks to be let past it. */
export async function bypassOf(
  context: Context,
): Promise<{ readonly bypassGovernance: boolean; readonly guard: Guard }> {
  const { request, guard, authorize } = context
  if (request.headers['x-amz-bypass-governance-retention']?.toLowerCase() !== 'true') {
    return { bypassGovernance: false, guard }
  }
  const bypass = await authorize('s3:BypassGovernanceRetention', targetResource(request))
  return { bypassGovernance: true, guard: bothGuards(guard, bypass) }
}

function targetResource({ bucket, key, query }: S3Request): { bucket: string; key?: string; versionId?: string } {
  const versionId = query.get('versionId')
  return { bucket, ...(key !== '' && { key }), ...(versionId !== undefined && { versionId }) }
}
