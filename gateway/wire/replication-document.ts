import { createHash } from 'node:crypto'
import { all, malformed, optionalChild, optionalInteger, optionalText, text, type XmlNode } from '#gateway/xml/parse.ts'
import { el, type Xml } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import type { Replication, ReplicationDestination, ReplicationFilter, ReplicationRule } from '#src/model/replication.ts'
import { objectTagsMax } from '#src/model/tags.ts'
import { decodeStorageClass } from './storage-class.ts'
import { readTagSet } from './tagging-document.ts'

/** ReplicationConfiguration. https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketReplication.html */

const rulesMax = 1000
const idLengthMax = 255
const prefixBytesMax = 1024
const priorityMost = 2 ** 31 - 1
const arnPrefix = 'arn:aws:s3:::'

const refused = (message: string): Fault => new Fault('InvalidRequest', { message })
const invalid = (message: string): Fault => new Fault('InvalidArgument', { message })

export function parseReplication(document: XmlNode): Replication {
  const nodes = all(document, 'Rule')
  if (nodes.length === 0 || nodes.length > rulesMax) throw malformed()
  const role = text(document, 'Role')
  if (!/^arn:aws:iam::[^:]*:role\/.+$/.test(role)) throw invalid('Invalid Role specified in replication configuration')
  const rules = nodes.map(readRule)
  checkRules(rules)
  return { role, rules }
}

function statusOf(node: XmlNode | undefined): boolean | undefined {
  if (node === undefined) return undefined
  const status = text(node, 'Status')
  if (status !== 'Enabled' && status !== 'Disabled') throw malformed()
  return status === 'Enabled'
}

function readRule(node: XmlNode, index: number): ReplicationRule {
  const prefix = optionalText(node, 'Prefix')
  const filter = optionalChild(node, 'Filter')
  if (prefix !== undefined && filter !== undefined) throw malformed()
  const priority = optionalInteger(node, 'Priority', 0, priorityMost)
  const markers = statusOf(optionalChild(node, 'DeleteMarkerReplication'))
  const managed = readSelection(optionalChild(node, 'SourceSelectionCriteria'))
  if (statusOf(optionalChild(node, 'ExistingObjectReplication')) === true) {
    throw new Fault('NotImplemented', { message: 'Existing objects are not replicated: copy them.' })
  }
  const [destination, ...others] = all(node, 'Destination')
  if (destination === undefined || others.length > 0) throw malformed()
  const rule = {
    isEnabled: statusOf(node) === true,
    ...(priority !== undefined && { priority }),
    ...(prefix !== undefined && { prefix }),
    ...(filter !== undefined && { filter: readWholeFilter(filter) }),
    destination: readDestination(destination),
    ...(markers !== undefined && { deleteMarkers: markers }),
    ...(managed !== undefined && { managedKeys: managed }),
  }
  return { id: optionalText(node, 'ID') || nameOf(rule, index), ...rule }
}

/** A rule without a name gets one; the same document gets the same ones. */
const nameOf = (rule: object, index: number): string =>
  createHash('sha256')
    .update(`${index} ${JSON.stringify(rule)}`)
    .digest('base64url')

function readSelection(node: XmlNode | undefined): boolean | undefined {
  if (node === undefined) return undefined
  if (statusOf(optionalChild(node, 'ReplicaModifications')) === true) {
    throw new Fault('NotImplemented', { message: 'Changes of replicas are not replicated back.' })
  }
  return statusOf(optionalChild(node, 'SseKmsEncryptedObjects'))
}

/** One of these, or `And` around several. */
function readWholeFilter(node: XmlNode): NonNullable<ReplicationRule['filter']> {
  const and = optionalChild(node, 'And')
  const own = readFilter(node)
  if (and === undefined) {
    if (own.prefix !== undefined && own.tags !== undefined) throw malformed()
    return own
  }
  const both = readFilter(and)
  if (Object.keys(own).length > 0 || Object.keys(both).length === 0) throw malformed()
  return { and: both }
}

function readFilter(node: XmlNode): ReplicationFilter {
  const prefix = optionalText(node, 'Prefix')
  if (prefix !== undefined && Buffer.byteLength(prefix) > prefixBytesMax) {
    throw refused(`The maximum size of a prefix is ${prefixBytesMax}.`)
  }
  const tags = [...readTagSet(node, objectTagsMax)]
  return { ...(prefix !== undefined && { prefix }), ...(tags.length > 0 && { tags }) }
}

function readDestination(node: XmlNode): ReplicationDestination {
  const arn = text(node, 'Bucket')
  const bucket = arn.slice(arnPrefix.length)
  if (!arn.startsWith(arnPrefix) || !/^[a-zA-Z0-9._-]{3,255}$/.test(bucket)) throw invalid('Invalid bucket ARN')
  const account = optionalText(node, 'Account')
  const written = optionalText(node, 'StorageClass')
  const storageClass = written === undefined ? undefined : decodeStorageClass(written)
  const translation = optionalChild(node, 'AccessControlTranslation')
  if (translation !== undefined && text(translation, 'Owner') !== 'Destination') throw malformed()
  const encryption = optionalChild(node, 'EncryptionConfiguration')
  const keyId = encryption === undefined ? undefined : optionalText(encryption, 'ReplicaKmsKeyID')
  return {
    bucket,
    ...(account !== undefined && { account }),
    ...(storageClass !== undefined && { storageClass }),
    ...(translation !== undefined && { isOwned: true }),
    ...(keyId !== undefined && { keyId }),
    ...readTimes(node),
  }
}

function readTimes(node: XmlNode): Pick<ReplicationDestination, 'timeMinutes' | 'metrics'> {
  const time = optionalChild(node, 'ReplicationTime')
  const metrics = optionalChild(node, 'Metrics')
  const minutes = (of: XmlNode | undefined) => (of === undefined ? undefined : optionalInteger(of, 'Minutes', 15, 15))
  const timeMinutes = statusOf(time) === true && time !== undefined ? minutes(optionalChild(time, 'Time')) : undefined
  const threshold = metrics === undefined ? undefined : minutes(optionalChild(metrics, 'EventThreshold'))
  const isEnabled = statusOf(metrics)
  return {
    ...(timeMinutes !== undefined && { timeMinutes }),
    ...(isEnabled !== undefined && { metrics: { isEnabled, ...(threshold !== undefined && { minutes: threshold }) } }),
  }
}

function checkRules(rules: readonly ReplicationRule[]): void {
  const ids = new Set<string>()
  const priorities = new Set<number>()
  for (const rule of rules) {
    const { id, filter, destination, managedKeys } = rule
    if (id.length > idLengthMax) throw invalid(`ID length should not exceed allowed limit of ${idLengthMax}`)
    if (ids.has(id)) throw invalid('Rule Id must be unique')
    ids.add(id)
    if (destination.isOwned === true && destination.account === undefined) {
      throw invalid('Account must be specified with AccessControlTranslation')
    }
    if (managedKeys === true && destination.keyId === undefined) {
      throw refused('EncryptionConfiguration must be specified where SseKmsEncryptedObjects are replicated.')
    }
    if (filter !== undefined) checkFiltered(rule, priorities)
  }
  if (new Set(rules.map(({ filter }) => filter === undefined)).size > 1) {
    throw refused('All rules must be of the same version of the replication schema.')
  }
}

/** The newer form says what the older one leaves open. */
function checkFiltered({ priority, filter, deleteMarkers }: ReplicationRule, priorities: Set<number>): void {
  if (priority === undefined) throw refused('Priority must be specified for this version of the replication schema.')
  if (priorities.has(priority)) throw refused(`Found duplicate priority ${priority}. Priorities must be unique.`)
  priorities.add(priority)
  if (deleteMarkers === undefined) {
    throw refused('DeleteMarkerReplication must be specified for this version of the replication schema.')
  }
  const hasTags = [filter, filter?.and].some((each) => each?.tags !== undefined)
  if (deleteMarkers && hasTags) {
    throw refused('Delete marker replication is not supported if any Tag filter is specified.')
  }
}

export const replicationElement = ({ role, rules }: Replication): Xml =>
  el('ReplicationConfiguration', el('Role', role), ...rules.map(ruleElement))

const status = (isEnabled: boolean): Xml => el('Status', isEnabled ? 'Enabled' : 'Disabled')

function ruleElement(rule: ReplicationRule): Xml {
  const { id, priority, prefix, filter, isEnabled, managedKeys, destination, deleteMarkers } = rule
  const and = filter?.and
  return el(
    'Rule',
    el('ID', id),
    priority === undefined ? undefined : el('Priority', priority),
    prefix === undefined ? undefined : el('Prefix', prefix),
    filter === undefined
      ? undefined
      : el('Filter', ...filterElements(filter), and === undefined ? undefined : el('And', ...filterElements(and))),
    status(isEnabled),
    managedKeys === undefined
      ? undefined
      : el('SourceSelectionCriteria', el('SseKmsEncryptedObjects', status(managedKeys))),
    destinationElement(destination),
    deleteMarkers === undefined ? undefined : el('DeleteMarkerReplication', status(deleteMarkers)),
  )
}

const filterElements = ({ prefix, tags }: ReplicationFilter): readonly (Xml | undefined)[] => [
  prefix === undefined ? undefined : el('Prefix', prefix),
  ...(tags ?? []).map(([key, value]) => el('Tag', el('Key', key), el('Value', value))),
]

function destinationElement(destination: ReplicationDestination): Xml {
  const { bucket, account, storageClass, isOwned, keyId, timeMinutes, metrics } = destination
  return el(
    'Destination',
    el('Bucket', `${arnPrefix}${bucket}`),
    account === undefined ? undefined : el('Account', account),
    storageClass === undefined ? undefined : el('StorageClass', storageClass),
    isOwned === true ? el('AccessControlTranslation', el('Owner', 'Destination')) : undefined,
    keyId === undefined ? undefined : el('EncryptionConfiguration', el('ReplicaKmsKeyID', keyId)),
    timeMinutes === undefined ? undefined : el('ReplicationTime', status(true), el('Time', el('Minutes', timeMinutes))),
    metrics === undefined
      ? undefined
      : el(
          'Metrics',
          status(metrics.isEnabled),
          metrics.minutes === undefined ? undefined : el('EventThreshold', el('Minutes', metrics.minutes)),
        ),
  )
}
