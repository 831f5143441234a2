import { answerOf } from '#gateway/errors.ts'
import type { S3Response } from '#gateway/operations/operation.ts'
import { type Child, el, elWith, renderPlain } from '#gateway/xml/render.ts'
import type { Fault, FaultCode } from '#src/errors.ts'
import type { QueryService } from './operation.ts'

const headers = (requestId: string) => ({ 'content-type': 'text/xml', 'x-amzn-requestid': requestId })

/** `<ActionResponse><ActionResult>…</ActionResult><ResponseMetadata>…` */
export function queryAnswer(
  { namespace }: QueryService,
  action: string,
  requestId: string,
  result: readonly Child[] | undefined,
): S3Response {
  const body = elWith(
    `${action}Response`,
    { xmlns: namespace },
    result === undefined ? undefined : el(`${action}Result`, ...result),
    el('ResponseMetadata', el('RequestId', requestId)),
  )
  return { status: 200, headers: headers(requestId), body: renderPlain(body) }
}

/**
 * What S3 calls otherwise than the query APIs do.
 * https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
 */
const renamed: Partial<Record<FaultCode, FaultCode>> = {
  AuthorizationHeaderMalformed: 'IncompleteSignature',
  AuthorizationQueryParametersError: 'IncompleteSignature',
  EntityTooLarge: 'ValidationError',
  InvalidAccessKeyId: 'InvalidClientTokenId',
  InvalidArgument: 'ValidationError',
  InvalidToken: 'InvalidClientTokenId',
  MalformedPolicy: 'MalformedPolicyDocument',
}

export function queryError({ namespace }: QueryService, fault: Fault, requestId: string): S3Response {
  const code = renamed[fault.code] ?? fault.code
  const { status, message } = answerOf(code)
  const body = elWith(
    'ErrorResponse',
    { xmlns: namespace },
    el(
      'Error',
      el('Type', status >= 500 ? 'Receiver' : 'Sender'),
      el('Code', code),
      el('Message', fault.details['message'] ?? message),
    ),
    el('RequestId', requestId),
  )
  return { status, headers: headers(requestId), body: renderPlain(body) }
}
