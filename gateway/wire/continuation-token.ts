import { Fault } from '#src/errors.ts'

/** Says which kind of token it is, so that another kind can come without a token being misread. */
const kind = 'k'

/** Opaque to clients: the key, or common prefix, behind which the next page starts. */
export const encodeToken = (after: string): string => Buffer.from(`${kind}${after}`).toString('base64url')

export function decodeToken(token: string): string {
  const text = Buffer.from(token, 'base64url').toString()
  // Whatever does not come out as it went in was not made here.
  if (text.startsWith(kind) && encodeToken(text.slice(1)) === token) return text.slice(1)
  throw new Fault('InvalidArgument', {
    message: 'The continuation token provided is incorrect',
    ArgumentName: 'continuation-token',
    ArgumentValue: token,
  })
}
