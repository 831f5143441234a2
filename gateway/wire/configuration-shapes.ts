import { choice, leaf, one, optional, parent, type Shape, several, words } from '#gateway/xml/conform.ts'
import { type ConfigurationKind, isConfigurationId } from '#src/model/configurations.ts'

/** One kind of the configurations that a bucket has many of, as AWS writes them. */
export interface ConfigurationForm {
  readonly kind: ConfigurationKind
  /** As operations are called: `GetBucketMetricsConfiguration`. */
  readonly name: string
  /** The document of one. */
  readonly root: string
  /** The document of a list. */
  readonly list: string
  readonly shape: Shape
}

const anyText = leaf()
const id = leaf(isConfigurationId)
const account = leaf((text) => /^[0-9A-Za-z]{1,64}$/.test(text))
const bucketArn = leaf((text) => /^arn:[a-z-]+:s3:::[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(text))
const tag = parent({
  Key: one(leaf((text) => text !== '' && text.length <= 128)),
  Value: one(leaf((text) => text.length <= 256)),
})
const tagsMost = 10

const filter = choice({
  Prefix: anyText,
  Tag: tag,
  And: parent({ Prefix: optional(anyText), Tag: several(tag, 0, tagsMost) }),
})

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_AnalyticsConfiguration.html */
const analytics = parent({
  Id: one(id),
  Filter: optional(filter),
  StorageClassAnalysis: one(
    parent({
      DataExport: optional(
        parent({
          OutputSchemaVersion: one(words('V_1')),
          Destination: one(
            parent({
              S3BucketDestination: one(
                parent({
                  Format: one(words('CSV')),
                  BucketAccountId: optional(account),
                  Bucket: one(bucketArn),
                  Prefix: optional(anyText),
                }),
              ),
            }),
          ),
        }),
      ),
    }),
  ),
})

const isDays = (text: string): boolean => /^\d{2,3}$/.test(text) && Number(text) >= 90 && Number(text) <= 730

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_IntelligentTieringConfiguration.html */
const intelligentTiering = parent({
  Id: one(id),
  Filter: optional(filter),
  Status: one(words('Enabled', 'Disabled')),
  Tiering: several(
    parent({ AccessTier: one(words('ARCHIVE_ACCESS', 'DEEP_ARCHIVE_ACCESS')), Days: one(leaf(isDays)) }),
    1,
    2,
  ),
})

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_InventoryConfiguration.html */
const inventoryFields = [
  'Size',
  'LastModifiedDate',
  'StorageClass',
  'ETag',
  'IsMultipartUploaded',
  'ReplicationStatus',
  'EncryptionStatus',
  'ObjectLockRetainUntilDate',
  'ObjectLockMode',
  'ObjectLockLegalHoldStatus',
  'IntelligentTieringAccessTier',
  'BucketKeyStatus',
  'ChecksumAlgorithm',
  'ObjectAccessControlList',
  'ObjectOwner',
  'LifecycleExpirationDate',
]

const inventory = parent({
  Destination: one(
    parent({
      S3BucketDestination: one(
        parent({
          AccountId: optional(account),
          Bucket: one(bucketArn),
          Format: one(words('CSV', 'ORC', 'Parquet')),
          Prefix: optional(anyText),
          Encryption: optional(choice({ 'SSE-S3': parent({}), 'SSE-KMS': parent({ KeyId: one(anyText) }) })),
        }),
      ),
    }),
  ),
  IsEnabled: one(words('true', 'false')),
  Filter: optional(parent({ Prefix: one(anyText) })),
  Id: one(id),
  IncludedObjectVersions: one(words('All', 'Current')),
  OptionalFields: optional(parent({ Field: several(words(...inventoryFields), 0, inventoryFields.length) })),
  Schedule: one(parent({ Frequency: one(words('Daily', 'Weekly')) })),
})

const accessPoint = leaf((text) => /^arn:[a-z-]+:s3:[^:\s]*:[^:\s]*:accesspoint\/\S+$/.test(text))

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_MetricsConfiguration.html */
const metrics = parent({
  Id: one(id),
  Filter: optional(
    choice({
      Prefix: anyText,
      Tag: tag,
      AccessPointArn: accessPoint,
      And: parent({
        Prefix: optional(anyText),
        Tag: several(tag, 0, tagsMost),
        AccessPointArn: optional(accessPoint),
      }),
    }),
  ),
})

export const configurationForms: readonly ConfigurationForm[] = [
  {
    kind: 'analytics',
    name: 'Analytics',
    root: 'AnalyticsConfiguration',
    list: 'ListBucketAnalyticsConfigurationResult',
    shape: analytics,
  },
  {
    kind: 'intelligent-tiering',
    name: 'IntelligentTiering',
    root: 'IntelligentTieringConfiguration',
    list: 'ListBucketIntelligentTieringConfigurationsOutput',
    shape: intelligentTiering,
  },
  {
    kind: 'inventory',
    name: 'Inventory',
    root: 'InventoryConfiguration',
    list: 'ListInventoryConfigurationsResult',
    shape: inventory,
  },
  {
    kind: 'metrics',
    name: 'Metrics',
    root: 'MetricsConfiguration',
    list: 'ListMetricsConfigurationsResult',
    shape: metrics,
  },
]
