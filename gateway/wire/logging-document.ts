import { grantElement, readGrant } from '#gateway/wire/acl-document.ts'
import { all, malformed, optionalChild, optionalInteger, optionalText, text, type XmlNode } from '#gateway/xml/parse.ts'
import { el, type Xml } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import type { Permission } from '#src/model/access.ts'
import type { NamedGrant } from '#src/model/acl.ts'
import {
  type LogFilterRule,
  type Logging,
  type LogKeyFormat,
  type LogType,
  logTypes,
  partitionDates,
} from '#src/model/logging.ts'

/** A LoggingEnabled element, before its grants are looked up. */
export interface RequestedLogging extends Omit<Logging, 'grants' | 'modified'> {
  readonly grants: readonly NamedGrant[]
}

/** What comes behind it in a log object's key has to fit too. */
const prefixBytesMax = 800
const rollSecondsMax = 7 * 86_400
const filterRulesMax = 10

/** Undefined: no logging. */
export function parseLogging(document: XmlNode): RequestedLogging | undefined {
  const enabled = optionalChild(document, 'LoggingEnabled')
  if (enabled === undefined) return undefined
  const prefix = text(enabled, 'TargetPrefix')
  if (Buffer.byteLength(prefix) > prefixBytesMax) {
    const message = `A prefix of logs has at most ${prefixBytesMax} bytes.`
    throw new Fault('InvalidArgument', { message, ArgumentName: 'TargetPrefix' })
  }
  const grants = optionalChild(enabled, 'TargetGrants')
  return {
    target: text(enabled, 'TargetBucket'),
    prefix,
    grants: grants === undefined ? [] : all(grants, 'Grant').map(readTargetGrant),
    keyFormat: readFormat(optionalChild(enabled, 'TargetObjectKeyFormat')),
    ...readExtension(enabled),
  }
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_TargetGrant.html */
const targetPermissions: ReadonlySet<Permission> = new Set<Permission>(['FULL_CONTROL', 'READ', 'WRITE'])

function readTargetGrant(node: XmlNode): NamedGrant {
  const grant = readGrant(node)
  if (!targetPermissions.has(grant.permission)) throw malformed()
  return grant
}

function readFormat(node: XmlNode | undefined): LogKeyFormat {
  if (node === undefined) return { kind: 'simple' }
  const simple = optionalChild(node, 'SimplePrefix')
  const partitioned = optionalChild(node, 'PartitionedPrefix')
  if ((simple === undefined) === (partitioned === undefined)) throw malformed()
  if (partitioned === undefined) return { kind: 'simple' }
  const written = optionalText(partitioned, 'PartitionDateSource') ?? 'EventTime'
  const date = partitionDates.find((each) => each === written)
  if (date === undefined) throw malformed()
  return { kind: 'partitioned', date }
}

/** What ceph has beyond AWS: https://docs.ceph.com/en/latest/radosgw/s3/bucketops/#put-bucket-logging */
function readExtension(node: XmlNode): Pick<Logging, 'type' | 'rollSeconds' | 'filter' | 'isExtended'> {
  const written = optionalText(node, 'LoggingType')
  const type: LogType | undefined = written === undefined ? 'Standard' : logTypes.find((each) => each === written)
  if (type === undefined) throw malformed()
  const roll = optionalInteger(node, 'ObjectRollTime', 0, rollSecondsMax)
  // Records are never held in memory alone, so that there is no batch to be sized.
  const batch = optionalInteger(node, 'RecordsBatchSize', 0, Number.MAX_SAFE_INTEGER)
  const filter = optionalChild(node, 'Filter')
  const isExtended = [written, roll, batch, filter].some((each) => each !== undefined)
  return {
    type,
    isExtended,
    // None, as ceph takes zero.
    ...(roll !== undefined && roll > 0 && { rollSeconds: roll }),
    // Standard records tell of all requests.
    ...(filter !== undefined && type === 'Journal' && { filter: readFilter(filter) }),
  }
}

function readFilter(node: XmlNode): readonly LogFilterRule[] {
  const key = optionalChild(node, 'Key') ?? optionalChild(node, 'S3Key')
  const rules = key === undefined ? [] : all(key, 'FilterRule')
  if (rules.length === 0 || rules.length > filterRulesMax) throw malformed()
  return rules.map((rule) => {
    const name = text(rule, 'Name').toLowerCase()
    if (name === 'regex') {
      // A pattern of the client's, matched on every write, is a way to stop a server.
      throw new Fault('NotImplemented', { message: 'Filters by regular expressions are not implemented.' })
    }
    if (name !== 'prefix' && name !== 'suffix') throw malformed()
    return { name, value: text(rule, 'Value') }
  })
}

export function loggingElement(logging: Logging | undefined, rollSeconds: number): Xml {
  return el('BucketLoggingStatus', logging === undefined ? undefined : enabledElement(logging, rollSeconds))
}

function enabledElement(logging: Logging, rollSeconds: number): Xml {
  const { target, prefix, grants, keyFormat } = logging
  return el(
    'LoggingEnabled',
    el('TargetBucket', target),
    grants.length === 0 ? undefined : el('TargetGrants', ...grants.map((each) => grantElement(each))),
    el('TargetPrefix', prefix),
    el(
      'TargetObjectKeyFormat',
      keyFormat.kind === 'simple'
        ? el('SimplePrefix')
        : el('PartitionedPrefix', el('PartitionDateSource', keyFormat.date)),
    ),
    ...(logging.isExtended ? extensionElements(logging, rollSeconds) : []),
  )
}

function extensionElements({ type, rollSeconds, filter }: Logging, usual: number): readonly (Xml | undefined)[] {
  const rules = filter?.map(({ name, value }) => el('FilterRule', el('Name', name), el('Value', value)))
  return [
    el('LoggingType', type),
    el('ObjectRollTime', rollSeconds ?? usual),
    el('RecordsBatchSize', 0),
    rules === undefined ? undefined : el('Filter', el('S3Key', ...rules)),
  ]
}
