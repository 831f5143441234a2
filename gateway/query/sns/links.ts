import type { Address } from '#gateway/address.ts'
import { faultOf } from '#gateway/errors.ts'
import type { S3Response } from '#gateway/operations/operation.ts'
import { queryAnswer, queryError } from '#gateway/query/answer.ts'
import { FormParameters } from '#gateway/query/form-parameters.ts'
import { Fault } from '#src/errors.ts'
import { anonymous } from '#src/model/identity.ts'
import { certificatePath } from '#src/service/message-postings.ts'
import type { Services } from '#src/service/services.ts'
import { sns } from './service.ts'
import { confirmSubscription, unsubscribeByLink } from './subscriptions.ts'

/** What messages link to, for everyone: no bucket has such names, and no request of S3 such a query. */

const actions = new Map([confirmSubscription, unsubscribeByLink].map((each) => [each.name, each] as const))

interface Link {
  readonly id: string
  readonly method: string
  readonly isSecure: boolean
}

/** The answer to a link of a message; undefined: it is none. Costs other requests two comparisons. */
export function linkAnswer(services: Services, incoming: Link, address: Address): Promise<S3Response> | undefined {
  if (incoming.method !== 'GET' || address.hostBucket !== undefined) return undefined
  if (address.scope === 'service') {
    const action = address.query.size === 0 ? undefined : address.query.get('Action')
    return action === undefined || !actions.has(action) ? undefined : follow(services, incoming, address, action)
  }
  return address.rawPath === certificatePath ? certificate(services) : undefined
}

async function certificate({ topics }: Services): Promise<S3Response> {
  return { status: 200, headers: { 'content-type': 'application/x-pem-file' }, body: await topics.certificate() }
}

async function follow(
  services: Services,
  { id, isSecure }: Link,
  { query, host }: Address,
  action: string,
): Promise<S3Response> {
  try {
    const operation = actions.get(action)
    if (operation === undefined) throw new Fault('InvalidAction')
    const parameters = new FormParameters(query)
    const values = { get: () => undefined }
    const request = { id, action, parameters, caller: anonymous, host, isSecure, values }
    const refuse = (): void => {
      throw new Fault('AccessDenied')
    }
    const context = { services, caller: anonymous, request, authorize: refuse, authorizeTrust: refuse }
    return queryAnswer(sns, action, id, await operation.handle(context))
  } catch (thrown) {
    const { fault, isExpected } = faultOf(thrown)
    if (!isExpected) throw thrown
    return queryError(sns, fault, id)
  }
}
