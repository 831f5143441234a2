import { queryOperation } from '#gateway/query/operation.ts'
import { el } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import { askOfTopic, topicNamed } from './topic.ts'

const invalid = (message: string): Fault => new Fault('InvalidParameter', { message: `Invalid parameter: ${message}` })

const bytesMax = 64 * 1024

/** https://docs.aws.amazon.com/sns/latest/api/API_Publish.html, of one text for all, without attributes. */
export const publish = queryOperation({
  name: 'Publish',
  decode(parameters) {
    const text = parameters.needed('Message')
    const subject = parameters.text('Subject')
    if (parameters.text('MessageStructure') !== undefined) throw invalid('MessageStructure is not supported')
    if (parameters.pairs('MessageAttributes', { member: 'entry', key: 'Name', value: 'Value' }).length > 0) {
      throw invalid('MessageAttributes are not supported')
    }
    if (text === '') throw invalid('Empty message')
    if (Buffer.byteLength(text) > bytesMax || !text.isWellFormed()) throw invalid('Message too long')
    if (subject !== undefined && !/^[\x21-\x7e][\x20-\x7e]{0,98}$/.test(subject)) throw invalid('Subject')
    return {
      topic: topicNamed(parameters.text('TopicArn') ?? parameters.needed('TargetArn')),
      text,
      ...(subject !== undefined && { subject }),
    }
  },
  authorize: ({ topic }, context) => askOfTopic('Publish', topic, context),
  run: (input, { services }) => services.topics.publish(input),
  encode: (id) => [el('MessageId', id)],
})
