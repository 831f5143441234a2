import { createHash } from 'node:crypto'
import { all, malformed, only, optionalChild, optionalText, text, texts, type XmlNode } from '#gateway/xml/parse.ts'
import { el, type Xml } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import { isEventName, type NotificationRule } from '#src/model/notification.ts'
import { parseTopicArn } from '#src/model/topic.ts'

/** NotificationConfiguration. https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketNotificationConfiguration.html */

type Kind = NotificationRule['kind']

/** How each kind of destination is written; all of them are topics here. */
const elements: Readonly<Record<Kind, { readonly name: string; readonly arn: string }>> = {
  topic: { name: 'TopicConfiguration', arn: 'Topic' },
  queue: { name: 'QueueConfiguration', arn: 'Queue' },
  function: { name: 'CloudFunctionConfiguration', arn: 'CloudFunction' },
}
const kinds = ['topic', 'queue', 'function'] as const

const filterLengthMax = 1024

const invalid = (message: string, name: string, value: string): Fault =>
  new Fault('InvalidArgument', { message, ArgumentName: name, ArgumentValue: value })

export function parseNotifications(document: XmlNode): readonly NotificationRule[] {
  if (all(document, 'EventBridgeConfiguration').length > 0) {
    throw new Fault('NotImplemented', { message: 'There is no EventBridge here: name topics.' })
  }
  only(document, ...kinds.map((kind) => elements[kind].name))
  return kinds.flatMap((kind) => all(document, elements[kind].name).map((node, at) => readRule(node, kind, at)))
}

function readRule(node: XmlNode, kind: Kind, at: number): NotificationRule {
  const { arn } = elements[kind]
  only(node, 'Id', arn, 'Event', 'Filter')
  const topic = text(node, arn)
  if (parseTopicArn(topic) === undefined) {
    const message = topic.startsWith('arn:aws:sns:')
      ? 'The ARN could not be parsed.'
      : 'Only topics can be told of events here: name the ARN of a topic (arn:aws:sns:…).'
    throw invalid(message, arn, topic)
  }
  const events = texts(node, 'Event')
  if (events.length === 0) throw malformed()
  for (const event of events) {
    if (!isEventName(event)) throw invalid('The event is not supported for notifications', 'Event', event)
  }
  const filter = optionalChild(node, 'Filter')
  const rule = { kind, topic, events, ...(filter !== undefined && { filter: readFilter(filter) }) }
  return { id: optionalText(node, 'Id') || nameOf(rule, at), ...rule }
}

/** A configuration without a name gets one; the same document gets the same ones. */
const nameOf = (rule: object, at: number): string =>
  createHash('sha256')
    .update(`${at} ${JSON.stringify(rule)}`)
    .digest('base64url')

function readFilter(node: XmlNode): NonNullable<NotificationRule['filter']> {
  only(node, 'S3Key')
  const key = optionalChild(node, 'S3Key')
  if (key === undefined) return []
  only(key, 'FilterRule')
  const rules = all(key, 'FilterRule').map((each) => {
    only(each, 'Name', 'Value')
    const written = text(each, 'Name')
    const name = written.toLowerCase()
    const value = optionalText(each, 'Value') ?? ''
    if (name !== 'prefix' && name !== 'suffix') {
      throw invalid('filter rule name must be either prefix or suffix', 'FilterRule.Name', written)
    }
    if (Buffer.byteLength(value) > filterLengthMax) {
      throw invalid(
        `Size of filter rule value cannot exceed ${filterLengthMax} bytes in UTF-8`,
        'FilterRule.Value',
        value,
      )
    }
    return { name, value } as const
  })
  if (new Set(rules.map(({ name }) => name)).size < rules.length) {
    const message = 'Cannot specify more than one prefix rule and one suffix rule in a filter.'
    throw invalid(message, 'FilterRule.Name', rules.map(({ name }) => name).join(', '))
  }
  return rules
}

export const notificationsElement = (rules: readonly NotificationRule[]): Xml =>
  el('NotificationConfiguration', ...rules.map(ruleElement))

function ruleElement({ id, kind, topic, events, filter }: NotificationRule): Xml {
  const { name, arn } = elements[kind]
  const filters = filter?.map((each) => el('FilterRule', el('Name', each.name), el('Value', each.value)))
  return el(
    name,
    el('Id', id),
    el(arn, topic),
    ...events.map((event) => el('Event', event)),
    filters === undefined ? undefined : el('Filter', el('S3Key', ...filters)),
  )
}
