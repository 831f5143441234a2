import type { S3Request } from '#gateway/operations/operation.ts'
import { Fault } from '#src/errors.ts'

const name = 'x-amz-optional-object-attributes'

/** Nothing is ever restored from an archive here, so the one attribute that can be asked for is never there to be shown. */
export function checkOptionalAttributes(headers: S3Request['headers']): void {
  const asked = headers[name]
  if (asked === undefined || asked.split(',').every((each) => each.trim() === 'RestoreStatus')) return
  throw new Fault('InvalidArgument', {
    message: 'Invalid attribute name specified',
    ArgumentName: name,
    ArgumentValue: asked,
  })
}
