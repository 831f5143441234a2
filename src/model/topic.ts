import { isDeepStrictEqual } from 'node:util'
import { Fault } from '#src/errors.ts'
import { parseTopicPolicy } from './policy-document.ts'

/** Where messages are published to, and from where they go to endpoints. https://docs.aws.amazon.com/sns/latest/api/Welcome.html */
export interface Topic {
  readonly name: string
  /** Canonical id of the owning account. */
  readonly owner: string
  readonly region: string
  /** Milliseconds since the epoch. */
  readonly created: number
  /** Where its maker reached this store: messages name URLs under it. */
  readonly base: string
  /** As they were given; those that mean something here are checked. */
  readonly attributes: Readonly<Record<string, string>>
}

/** An endpoint that asked for a topic's messages. */
export interface Subscription {
  readonly id: string
  /** Canonical id of the account that subscribed. */
  readonly owner: string
  readonly endpoint: string
  readonly base: string
  /** Without the envelope around the message. */
  readonly isRaw: boolean
  /** Absent: confirmed. */
  readonly pending?: { readonly token: string; readonly since: number }
}

/** What names a topic, as its ARN says it. */
export interface TopicName {
  readonly region: string
  readonly owner: string
  readonly name: string
}

export const topicArn = ({ region, owner, name }: TopicName): string => `arn:aws:sns:${region}:${owner}:${name}`

const namePattern = /^[A-Za-z0-9_-]{1,256}$/
const ownerPattern = /^[A-Za-z0-9_-]{1,128}$/
const regionPattern = /^[a-z0-9-]{1,64}$/

/** Undefined: the ARN of no topic that could be here. */
export function parseTopicArn(arn: string): TopicName | undefined {
  const [scheme, partition, service, region = '', owner = '', name = '', ...rest] = arn.split(':')
  const isTopic = scheme === 'arn' && partition === 'aws' && service === 'sns' && rest.length === 0
  const isNamed = regionPattern.test(region) && ownerPattern.test(owner) && namePattern.test(name)
  return isTopic && isNamed ? { region, owner, name } : undefined
}

const subscriptionPattern = /^[0-9a-f-]{36}$/

/** `TOPIC:ID`. */
export function parseSubscriptionArn(arn: string): { readonly topic: TopicName; readonly id: string } | undefined {
  const colon = arn.lastIndexOf(':')
  const topic = colon < 0 ? undefined : parseTopicArn(arn.slice(0, colon))
  const id = arn.slice(colon + 1)
  return topic !== undefined && subscriptionPattern.test(id) ? { topic, id } : undefined
}

const invalid = (message: string): Fault => new Fault('InvalidParameter', { message: `Invalid parameter: ${message}` })

export function checkTopicName(name: string): void {
  if (!namePattern.test(name)) throw invalid('Topic Name')
}

/** Names of attributes that only clients read. */
const freeAttributes = new Set(['DisplayName', 'OpaqueData'])
/** Policy; where messages go without a subscription, and how. */
const knownAttributes = new Set([...freeAttributes, 'Policy', 'push-endpoint', 'RawMessageDelivery'])
const attributeLengthMax = 2048

/** Whether an attribute of a topic means what it says. */
export function checkTopicAttribute(topic: TopicName, name: string, value: string): void {
  if (!knownAttributes.has(name)) throw invalid(`AttributeName: ${name} is not supported`)
  if (name === 'Policy') {
    if (value !== '') parseTopicPolicy(value, topicArn(topic))
    return
  }
  if (value.length > attributeLengthMax || !value.isWellFormed()) throw invalid(`Attributes: ${name}`)
  if (name === 'RawMessageDelivery') parseFlag(name, value)
  if (name === 'push-endpoint' && value !== '') checkEndpoint(value)
}

export function parseFlag(name: string, value: string): boolean {
  if (value !== 'true' && value !== 'false') throw invalid(`Attributes: ${name} must be true or false`)
  return value === 'true'
}

/** Of a URL that messages are sent to; whether its address may be reached is the sender's to say. */
export function checkEndpoint(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.hostname === '') {
    throw invalid('Endpoint must be an http or https URL')
  }
  if (text.length > attributeLengthMax || url.hash !== '') throw invalid('Endpoint')
  return url
}

/** Emptied attributes are as if they had never been given. */
export function withAttributes(topic: Topic, given: Readonly<Record<string, string>>): Topic {
  const all = Object.entries({ ...topic.attributes, ...given }).filter(([, value]) => value !== '')
  return { ...topic, attributes: Object.fromEntries(all) }
}

/** Whether what a repeated CreateTopic asks for is what is there. */
export const hasAttributes = ({ attributes }: Topic, given: Readonly<Record<string, string>>): boolean =>
  isDeepStrictEqual({ ...attributes, ...given }, attributes)

/** Where a topic's messages go without a subscription, as ceph has it. */
export const pushEndpoint = ({ attributes }: Topic): string | undefined => attributes['push-endpoint']
export const isPushedRaw = ({ attributes }: Topic): boolean => attributes['RawMessageDelivery'] === 'true'
