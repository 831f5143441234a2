import type { Permission } from './access.ts'

/** What an action needs, beside a policy that allows it. */
export interface ActionRule {
  /** As policies are matched: in lower case. */
  readonly name: string
  readonly scope: 'service' | 'bucket' | 'object'
  /** The permission of an ACL that gives it too, and whose ACL. */
  readonly grant?: { readonly on: 'bucket' | 'object'; readonly permission: Permission }
  /** Whether it is about an object that must be there: who may not list the bucket is not told that it is not. */
  readonly isOfExisting: boolean
  /** The owner's account may do it whatever the policy says, or it could lock itself out for good. */
  readonly isOfPolicy: boolean
}

type Row = Pick<ActionRule, 'scope' | 'grant' | 'isOfExisting'>

const service: Row = { scope: 'service', isOfExisting: false }
const setting: Row = { scope: 'bucket', isOfExisting: false }
const existing: Row = { scope: 'object', isOfExisting: true }
const plainObject: Row = { scope: 'object', isOfExisting: false }

const byBucket = (row: Row, permission: Permission): Row => ({ ...row, grant: { on: 'bucket', permission } })
const byObject = (permission: Permission): Row => ({ ...existing, grant: { on: 'object', permission } })

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#acl-access-policy-permission-mapping */
const rows: Readonly<Record<string, Row>> = {
  ListAllMyBuckets: service,
  GetUsage: service,
  CreateBucket: service,

  ListBucket: byBucket(setting, 'READ'),
  ListBucketVersions: byBucket(setting, 'READ'),
  ListBucketMultipartUploads: byBucket(setting, 'READ'),
  GetBucketAcl: byBucket(setting, 'READ_ACP'),
  PutBucketAcl: byBucket(setting, 'WRITE_ACP'),

  GetObject: byObject('READ'),
  GetObjectVersion: byObject('READ'),
  GetObjectAttributes: byObject('READ'),
  GetObjectVersionAttributes: byObject('READ'),
  GetObjectTorrent: byObject('READ'),
  GetObjectAcl: byObject('READ_ACP'),
  GetObjectVersionAcl: byObject('READ_ACP'),
  PutObjectAcl: byObject('WRITE_ACP'),
  PutObjectVersionAcl: byObject('WRITE_ACP'),

  PutObject: byBucket(plainObject, 'WRITE'),
  DeleteObject: byBucket(plainObject, 'WRITE'),
  RenameObject: byBucket(plainObject, 'WRITE'),
  AbortMultipartUpload: byBucket(plainObject, 'WRITE'),
  ListMultipartUploadParts: byBucket(plainObject, 'WRITE'),
  // Of ACLs only the bucket owner's own WRITE gives it, and the owner may anyway.
  DeleteObjectVersion: plainObject,
  BypassGovernanceRetention: plainObject,
}

const settings = [
  'AccelerateConfiguration',
  'AnalyticsConfiguration',
  'BucketAbac',
  'BucketCORS',
  'BucketInformation',
  'BucketLocation',
  'BucketLogging',
  'BucketNotification',
  'BucketObjectLockConfiguration',
  'BucketOwnershipControls',
  'BucketPolicy',
  'BucketPolicyStatus',
  'BucketPublicAccessBlock',
  'BucketRequestPayment',
  'BucketTagging',
  'BucketVersioning',
  'BucketWebsite',
  'EncryptionConfiguration',
  'IntelligentTieringConfiguration',
  'InventoryConfiguration',
  'LifecycleConfiguration',
  'MetricsConfiguration',
  'ReplicationConfiguration',
].flatMap((name) => [`Get${name}`, `Put${name}`])

const others = {
  bucket: [...settings, 'DeleteBucket', 'DeleteBucketPolicy', 'DeleteBucketWebsite'],
  existing: [
    ...['Get', 'Put', 'Delete'].flatMap((verb) => [`${verb}ObjectTagging`, `${verb}ObjectVersionTagging`]),
    ...['Get', 'Put'].flatMap((verb) => [`${verb}ObjectRetention`, `${verb}ObjectLegalHold`]),
    'RestoreObject',
  ],
}

const policyActions = new Set(['GetBucketPolicy', 'PutBucketPolicy', 'DeleteBucketPolicy'])

const rules: ReadonlyMap<string, ActionRule> = new Map(
  [
    ...Object.entries(rows),
    ...others.bucket.map((name) => [name, setting] as const),
    ...others.existing.map((name) => [name, existing] as const),
  ].map(([name, row]) => [
    `s3:${name}`,
    { ...row, name: `s3:${name.toLowerCase()}`, isOfPolicy: policyActions.has(name) },
  ]),
)

export const knownActions: ReadonlySet<string> = new Set(rules.keys())

/** An action that is not in the table is a mistake of ours, and refused as such. */
export function ruleOf(action: string): ActionRule {
  const rule = rules.get(action)
  if (rule === undefined) throw new Error(`no rule says who may ${action}`)
  return rule
}
