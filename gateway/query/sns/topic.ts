import type { QueryContext } from '#gateway/query/operation.ts'
import { el, type Xml } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import { parseSubscriptionArn, parseTopicArn, type Topic, type TopicName, topicArn } from '#src/model/topic.ts'
import { policyOf } from '#src/model/topic-policy.ts'
import { topicRealm } from '#src/service/access.ts'

/** What the operations of SNS have in common. */

const invalid = (message: string): Fault => new Fault('InvalidParameter', { message: `Invalid parameter: ${message}` })

export function topicNamed(arn: string): TopicName {
  const name = parseTopicArn(arn)
  if (name === undefined) throw invalid('TopicArn')
  return name
}

export function subscriptionNamed(arn: string): { readonly topic: TopicName; readonly id: string } {
  const found = parseSubscriptionArn(arn)
  if (found === undefined) throw invalid('SubscriptionArn')
  return found
}

async function find(name: TopicName, { services }: QueryContext): Promise<Topic | undefined> {
  try {
    return await services.topics.get(name)
  } catch (error) {
    if (error instanceof Fault && error.code === 'NotFound') return undefined
    throw error
  }
}

/** Whether the caller may, by its own policies or the topic's. Of a topic that is not there its account alone is told so. */
export async function askOfTopic(action: string, name: TopicName, context: QueryContext): Promise<void> {
  const topic = await find(name, context)
  const policy = topic === undefined ? { statements: [], readsExistingTags: false } : policyOf(topic)
  context.authorize({
    action: `sns:${action}`,
    resource: topicArn(name),
    resourcePolicy: { policy, realm: topicRealm(name, context.caller) },
  })
}

/** The account of who asks. */
export function ownerOf({ caller }: QueryContext): string {
  if (caller.kind === 'anonymous') throw new Fault('AccessDenied')
  return caller.account.id
}

/** Where the one who asks has reached this store. */
export const baseOf = ({ request }: QueryContext): string => `${request.isSecure ? 'https' : 'http'}://${request.host}`

/** `Attributes.entry.1.key` and so on. */
export const entryWords = { member: 'entry', key: 'key', value: 'value' } as const

export const attributesElement = (attributes: Readonly<Record<string, string | number | boolean>>): Xml =>
  el(
    'Attributes',
    ...Object.entries(attributes).map(([key, value]) => el('entry', el('key', key), el('value', String(value)))),
  )

/** Where a list goes on, as a token that clients hand back as it is. */
export const tokenOf = (next: string): string => Buffer.from(next).toString('base64url')
export function afterToken(token: string | undefined): string | undefined {
  if (token === undefined || token === '') return undefined
  if (!/^[A-Za-z0-9_-]{1,1000}$/.test(token)) throw invalid('NextToken')
  return Buffer.from(token, 'base64url').toString()
}
