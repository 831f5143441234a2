import type { QueryOperation, QueryService } from '#gateway/query/operation.ts'
import { Fault, type FaultCode } from '#src/errors.ts'
import { publish } from './publish.ts'
import { subscriptionOperations } from './subscriptions.ts'
import { topicOperations } from './topics.ts'

/** What SNS calls otherwise than the other query APIs do. https://docs.aws.amazon.com/sns/latest/api/CommonErrors.html */
const renamed: Partial<Record<FaultCode, FaultCode>> = {
  AccessDenied: 'AuthorizationError',
  InvalidArgument: 'InvalidParameter',
  MalformedPolicy: 'InvalidParameter',
  ValidationError: 'InvalidParameter',
}

const inOwnWords = ({ name, handle }: QueryOperation): QueryOperation => ({
  name,
  async handle(context) {
    try {
      return await handle(context)
    } catch (error) {
      const code = error instanceof Fault ? renamed[error.code] : undefined
      if (code === undefined || !(error instanceof Fault)) throw error
      throw new Fault(code, error.details, { cause: error })
    }
  },
})

/** https://docs.aws.amazon.com/sns/latest/api/Welcome.html */
export const sns: QueryService = {
  name: 'sns',
  namespace: 'http://sns.amazonaws.com/doc/2010-03-31/',
  version: '2010-03-31',
  operations: [...topicOperations, ...subscriptionOperations, publish].map(inOwnWords),
}
