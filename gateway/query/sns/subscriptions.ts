import { type QueryContext, type QueryOperation, queryOperation } from '#gateway/query/operation.ts'
import { el, type Xml } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import { parseFlag, type Subscription, topicArn } from '#src/model/topic.ts'
import type { ListedSubscription } from '#src/service/notification-services.ts'
import {
  afterToken,
  askOfTopic,
  attributesElement,
  baseOf,
  entryWords,
  ownerOf,
  subscriptionNamed,
  tokenOf,
  topicNamed,
} from './topic.ts'

const pageItems = 100

const invalid = (message: string): Fault => new Fault('InvalidParameter', { message: `Invalid parameter: ${message}` })

const protocolOf = ({ endpoint }: Subscription): string => endpoint.slice(0, endpoint.indexOf(':')).toLowerCase()

/** What may be said of a subscription beside its endpoint. */
function isRawOf(attributes: readonly (readonly [string, string])[]): boolean {
  let isRaw = false
  for (const [name, value] of attributes) {
    if (name !== 'RawMessageDelivery') throw invalid(`AttributeName: ${name} is not supported`)
    isRaw = parseFlag(name, value)
  }
  return isRaw
}

/** https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html */
const subscribe = queryOperation({
  name: 'Subscribe',
  decode(parameters) {
    const protocol = parameters.needed('Protocol')
    const endpoint = parameters.needed('Endpoint')
    if (protocol !== 'http' && protocol !== 'https') throw invalid(`Protocol: ${protocol} is not supported`)
    if (!endpoint.toLowerCase().startsWith(`${protocol}://`)) {
      throw invalid('Endpoint must match the specified protocol')
    }
    return {
      topic: topicNamed(parameters.needed('TopicArn')),
      endpoint,
      isRaw: isRawOf(parameters.pairs('Attributes', entryWords)),
      isTold: parameters.text('ReturnSubscriptionArn') === 'true',
    }
  },
  authorize: ({ topic }, context) => askOfTopic('Subscribe', topic, context),
  async run({ isTold, ...input }, context) {
    const owner = ownerOf(context)
    const { id, pending } = await context.services.topics.subscribe({ ...input, owner, base: baseOf(context) })
    return isTold || pending === undefined ? `${topicArn(input.topic)}:${id}` : 'pending confirmation'
  },
  encode: (arn) => [el('SubscriptionArn', arn)],
})

/** https://docs.aws.amazon.com/sns/latest/api/API_ConfirmSubscription.html: the token is the permission. */
export const confirmSubscription = queryOperation({
  name: 'ConfirmSubscription',
  decode: (parameters) => ({
    topic: topicNamed(parameters.needed('TopicArn')),
    token: parameters.needed('Token'),
  }),
  authorize: () => {},
  async run({ topic, token }, { services }) {
    const { id } = await services.topics.confirm(topic, token)
    return `${topicArn(topic)}:${id}`
  },
  encode: (arn) => [el('SubscriptionArn', arn)],
})

/** Whoever subscribed may, and whoever may by the topic. */
async function askOfSubscription(action: string, arn: string, context: QueryContext): Promise<void> {
  const { topic, id } = subscriptionNamed(arn)
  const { caller, services } = context
  if (caller.kind === 'anonymous') throw new Fault('AccessDenied')
  const found = await services.topics.subscription(topic, id).catch((error: unknown) => {
    if (error instanceof Fault && error.code === 'NotFound') return undefined
    throw error
  })
  if (found?.owner === caller.account.id) context.authorize({ action: `sns:${action}`, resource: topicArn(topic) })
  else await askOfTopic(action, topic, context)
}

/** https://docs.aws.amazon.com/sns/latest/api/API_Unsubscribe.html */
const unsubscribe = queryOperation({
  name: 'Unsubscribe',
  decode: (parameters) => parameters.needed('SubscriptionArn'),
  authorize: (arn, context) => askOfSubscription('Unsubscribe', arn, context),
  async run(arn, { services }) {
    const { topic, id } = subscriptionNamed(arn)
    await services.topics.unsubscribe(topic, id)
  },
})

/** Without a signature, as messages bring it: only the endpoint and those who may list know the id. */
export const unsubscribeByLink = queryOperation({
  name: 'Unsubscribe',
  decode: (parameters) => subscriptionNamed(parameters.needed('SubscriptionArn')),
  authorize: () => {},
  run: ({ topic, id }, { services }) => services.topics.unsubscribe(topic, id),
})

/** https://docs.aws.amazon.com/sns/latest/api/API_GetSubscriptionAttributes.html */
const getSubscriptionAttributes = queryOperation({
  name: 'GetSubscriptionAttributes',
  decode: (parameters) => parameters.needed('SubscriptionArn'),
  authorize: (arn, context) => askOfSubscription('GetSubscriptionAttributes', arn, context),
  async run(arn, { services }) {
    const { topic, id } = subscriptionNamed(arn)
    const found = await services.topics.subscription(topic, id)
    return {
      SubscriptionArn: arn,
      TopicArn: topicArn(topic),
      Owner: found.owner,
      Protocol: protocolOf(found),
      Endpoint: found.endpoint,
      RawMessageDelivery: found.isRaw,
      PendingConfirmation: found.pending !== undefined,
    }
  },
  encode: (attributes) => [attributesElement(attributes)],
})

/** https://docs.aws.amazon.com/sns/latest/api/API_SetSubscriptionAttributes.html */
const setSubscriptionAttributes = queryOperation({
  name: 'SetSubscriptionAttributes',
  decode: (parameters) => ({
    arn: parameters.needed('SubscriptionArn'),
    isRaw: isRawOf([[parameters.needed('AttributeName'), parameters.text('AttributeValue') ?? 'false']]),
  }),
  authorize: ({ arn }, context) => askOfSubscription('SetSubscriptionAttributes', arn, context),
  async run({ arn, isRaw }, { services }) {
    const { topic, id } = subscriptionNamed(arn)
    await services.topics.setRaw(topic, id, isRaw)
  },
})

function member({ topic, subscription }: ListedSubscription): Xml {
  const { id, owner, endpoint, pending } = subscription
  return el(
    'member',
    el('TopicArn', topic),
    el('Protocol', protocolOf(subscription)),
    el('SubscriptionArn', pending === undefined ? `${topic}:${id}` : 'PendingConfirmation'),
    el('Owner', owner),
    el('Endpoint', endpoint),
  )
}

/** https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptionsByTopic.html */
const listSubscriptionsByTopic = queryOperation({
  name: 'ListSubscriptionsByTopic',
  decode: (parameters) => topicNamed(parameters.needed('TopicArn')),
  authorize: (name, context) => askOfTopic('ListSubscriptionsByTopic', name, context),
  async run(name, { services }) {
    const found = await services.topics.subscriptions(name)
    return found.map((subscription) => ({ topic: topicArn(name), subscription }))
  },
  encode: (found) => [el('Subscriptions', ...found.map(member))],
})

/** https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptions.html; here, to the caller's topics. */
const listSubscriptions = queryOperation({
  name: 'ListSubscriptions',
  decode: (parameters) => afterToken(parameters.text('NextToken')),
  authorize(_, context) {
    const { region } = context.services.topics
    const resource = topicArn({ region, owner: ownerOf(context), name: '*' })
    context.authorize({ action: 'sns:ListSubscriptions', resource })
  },
  run: (after, context) => context.services.topics.subscriptionsOf(ownerOf(context), after, pageItems),
  encode: ({ items, next }) => [
    el('Subscriptions', ...items.map(member)),
    next === undefined ? undefined : el('NextToken', tokenOf(next)),
  ],
})

export const subscriptionOperations: readonly QueryOperation[] = [
  subscribe,
  confirmSubscription,
  unsubscribe,
  getSubscriptionAttributes,
  setSubscriptionAttributes,
  listSubscriptions,
  listSubscriptionsByTopic,
]
