import { type QueryOperation, queryOperation } from '#gateway/query/operation.ts'
import { el } from '#gateway/xml/render.ts'
import { topicArn } from '#src/model/topic.ts'
import { afterToken, askOfTopic, attributesElement, baseOf, entryWords, ownerOf, tokenOf, topicNamed } from './topic.ts'

/** Of a list; AWS's own. */
const pageItems = 100

/** https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html */
const createTopic = queryOperation({
  name: 'CreateTopic',
  decode: (parameters) => ({
    name: parameters.needed('Name'),
    attributes: Object.fromEntries(parameters.pairs('Attributes', entryWords)),
  }),
  authorize({ name }, context) {
    const { region } = context.services.topics
    const resource = topicArn({ region, owner: ownerOf(context), name })
    context.authorize({ action: 'sns:CreateTopic', resource })
  },
  run: (input, context) => context.services.topics.create({ ...input, owner: ownerOf(context), base: baseOf(context) }),
  encode: (arn) => [el('TopicArn', arn)],
})

/** https://docs.aws.amazon.com/sns/latest/api/API_DeleteTopic.html: a missing one is no error. */
const deleteTopic = queryOperation({
  name: 'DeleteTopic',
  decode: (parameters) => topicNamed(parameters.needed('TopicArn')),
  authorize: (name, context) => askOfTopic('DeleteTopic', name, context),
  run: (name, { services }) => services.topics.delete(name),
})

/** https://docs.aws.amazon.com/sns/latest/api/API_GetTopicAttributes.html */
const getTopicAttributes = queryOperation({
  name: 'GetTopicAttributes',
  decode: (parameters) => topicNamed(parameters.needed('TopicArn')),
  authorize: (name, context) => askOfTopic('GetTopicAttributes', name, context),
  async run(name, { services }) {
    const topic = await services.topics.get(name)
    const subscriptions = await services.topics.subscriptions(name)
    const pending = subscriptions.filter((each) => each.pending !== undefined).length
    return {
      TopicArn: topicArn(topic),
      Owner: topic.owner,
      SubscriptionsConfirmed: subscriptions.length - pending,
      SubscriptionsPending: pending,
      SignatureVersion: 2,
      ...topic.attributes,
    }
  },
  encode: (attributes) => [attributesElement(attributes)],
})

/** https://docs.aws.amazon.com/sns/latest/api/API_SetTopicAttributes.html: an empty value takes the attribute away. */
const setTopicAttributes = queryOperation({
  name: 'SetTopicAttributes',
  decode: (parameters) => ({
    topic: topicNamed(parameters.needed('TopicArn')),
    name: parameters.needed('AttributeName'),
    value: parameters.text('AttributeValue') ?? '',
  }),
  authorize: ({ topic }, context) => askOfTopic('SetTopicAttributes', topic, context),
  run: ({ topic, name, value }, { services }) => services.topics.setAttribute(topic, name, value),
})

/** https://docs.aws.amazon.com/sns/latest/api/API_ListTopics.html */
const listTopics = queryOperation({
  name: 'ListTopics',
  decode: (parameters) => afterToken(parameters.text('NextToken')),
  authorize(_, context) {
    const { region } = context.services.topics
    context.authorize({ action: 'sns:ListTopics', resource: topicArn({ region, owner: ownerOf(context), name: '*' }) })
  },
  run: (after, context) => context.services.topics.list(ownerOf(context), after, pageItems),
  encode: ({ items, next }) => [
    el('Topics', ...items.map((topic) => el('member', el('TopicArn', topicArn(topic))))),
    next === undefined ? undefined : el('NextToken', tokenOf(next)),
  ],
})

export const topicOperations: readonly QueryOperation[] = [
  createTopic,
  deleteTopic,
  getTopicAttributes,
  setTopicAttributes,
  listTopics,
]
