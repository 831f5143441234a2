import type { S3Request } from '#gateway/operations/operation.ts'
import { Fault } from '#src/errors.ts'

const name = 'x-amz-optional-object-attributes'

/** Whether a listing is to tell what was restored: the one attribute that can be asked for. */
export function asksRestores(headers: S3Request['headers']): boolean {
  const asked = headers[name]
  if (asked === undefined) return false
  if (asked.split(',').every((each) => each.trim() === 'RestoreStatus')) return true
  throw new Fault('InvalidArgument', {
    message: 'Invalid attribute name specified',
    ArgumentName: name,
    ArgumentValue: asked,
  })
}
