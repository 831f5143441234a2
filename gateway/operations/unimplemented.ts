import type { Matching } from '#gateway/dispatch.ts'
import type { Method, Scope } from './operation.ts'

const row = (name: string, method: Method, scope: Scope, ...keys: readonly string[]): Matching => ({
  name,
  match: keys.length === 0 ? { method, scope } : { method, scope, keys },
})

/** Bucket settings that are got, put and deleted under one query name. */
const setting = (name: string, key: string, verbs: readonly ('Get' | 'Put' | 'Delete')[]): readonly Matching[] =>
  verbs.map((verb) => row(`${verb}${name}`, verb === 'Get' ? 'GET' : verb === 'Put' ? 'PUT' : 'DELETE', 'bucket', key))

/** Settings of which a bucket has many, each with an id; without an id they are listed. */
const family = (name: string, plural: string, key: string): readonly Matching[] => [
  row(`Get${name}`, 'GET', 'bucket', key, 'id'),
  row(`List${plural}`, 'GET', 'bucket', key),
  row(`Put${name}`, 'PUT', 'bucket', key),
  row(`Delete${name}`, 'DELETE', 'bucket', key),
]

/**
 * Every operation of the S3 API and how its requests are known. What has no file of its own yet answers NotImplemented from
 * here; a line stays when its operation comes, as the list that a test walks.
 *
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
 */
export const everyOperation: readonly Matching[] = [
  row('ListBuckets', 'GET', 'service'),
  row('ListDirectoryBuckets', 'GET', 'service', 'x-id=ListDirectoryBuckets'),

  row('CreateBucket', 'PUT', 'bucket'),
  row('HeadBucket', 'HEAD', 'bucket'),
  row('DeleteBucket', 'DELETE', 'bucket'),
  row('ListObjects', 'GET', 'bucket'),
  row('ListObjectsV2', 'GET', 'bucket', 'list-type=2'),
  row('ListObjectVersions', 'GET', 'bucket', 'versions'),
  row('ListMultipartUploads', 'GET', 'bucket', 'uploads'),
  row('DeleteObjects', 'POST', 'bucket', 'delete'),
  row('PostObject', 'POST', 'bucket'),
  row('GetBucketLocation', 'GET', 'bucket', 'location'),
  row('GetBucketPolicyStatus', 'GET', 'bucket', 'policyStatus'),
  row('CreateSession', 'GET', 'bucket', 'session'),
  row('CreateBucketMetadataConfiguration', 'POST', 'bucket', 'metadataConfiguration'),
  row('CreateBucketMetadataTableConfiguration', 'POST', 'bucket', 'metadataTable'),
  row('UpdateBucketMetadataAnnotationTableConfiguration', 'PUT', 'bucket', 'metadataAnnotationTable'),
  row('UpdateBucketMetadataInventoryTableConfiguration', 'PUT', 'bucket', 'metadataInventoryTable'),
  row('UpdateBucketMetadataJournalTableConfiguration', 'PUT', 'bucket', 'metadataJournalTable'),
  ...setting('BucketAbac', 'abac', ['Get', 'Put']),
  ...setting('BucketAccelerateConfiguration', 'accelerate', ['Get', 'Put']),
  ...setting('BucketAcl', 'acl', ['Get', 'Put']),
  ...setting('BucketCors', 'cors', ['Get', 'Put', 'Delete']),
  ...setting('BucketEncryption', 'encryption', ['Get', 'Put', 'Delete']),
  ...setting('BucketLifecycleConfiguration', 'lifecycle', ['Get', 'Put']),
  ...setting('BucketLifecycle', 'lifecycle', ['Delete']),
  ...setting('BucketLogging', 'logging', ['Get', 'Put']),
  ...setting('BucketMetadataConfiguration', 'metadataConfiguration', ['Get', 'Delete']),
  ...setting('BucketMetadataTableConfiguration', 'metadataTable', ['Get', 'Delete']),
  ...setting('BucketNotificationConfiguration', 'notification', ['Get', 'Put']),
  ...setting('BucketOwnershipControls', 'ownershipControls', ['Get', 'Put', 'Delete']),
  ...setting('BucketPolicy', 'policy', ['Get', 'Put', 'Delete']),
  ...setting('BucketReplication', 'replication', ['Get', 'Put', 'Delete']),
  ...setting('BucketRequestPayment', 'requestPayment', ['Get', 'Put']),
  ...setting('BucketTagging', 'tagging', ['Get', 'Put', 'Delete']),
  ...setting('BucketVersioning', 'versioning', ['Get', 'Put']),
  ...setting('BucketWebsite', 'website', ['Get', 'Put', 'Delete']),
  ...setting('ObjectLockConfiguration', 'object-lock', ['Get', 'Put']),
  ...setting('PublicAccessBlock', 'publicAccessBlock', ['Get', 'Put', 'Delete']),
  ...family('BucketAnalyticsConfiguration', 'BucketAnalyticsConfigurations', 'analytics'),
  ...family('BucketIntelligentTieringConfiguration', 'BucketIntelligentTieringConfigurations', 'intelligent-tiering'),
  ...family('BucketInventoryConfiguration', 'BucketInventoryConfigurations', 'inventory'),
  ...family('BucketMetricsConfiguration', 'BucketMetricsConfigurations', 'metrics'),

  row('GetObject', 'GET', 'object'),
  row('HeadObject', 'HEAD', 'object'),
  row('PutObject', 'PUT', 'object'),
  row('DeleteObject', 'DELETE', 'object'),
  row('CopyObject', 'PUT', 'object', 'x-amz-copy-source'),
  row('RenameObject', 'PUT', 'object', 'renameObject'),
  row('GetObjectAcl', 'GET', 'object', 'acl'),
  row('PutObjectAcl', 'PUT', 'object', 'acl'),
  row('GetObjectAnnotation', 'GET', 'object', 'annotation', 'annotationName'),
  row('ListObjectAnnotations', 'GET', 'object', 'annotation'),
  row('PutObjectAnnotation', 'PUT', 'object', 'annotation'),
  row('DeleteObjectAnnotation', 'DELETE', 'object', 'annotation'),
  row('GetObjectAttributes', 'GET', 'object', 'attributes'),
  row('GetObjectLegalHold', 'GET', 'object', 'legal-hold'),
  row('PutObjectLegalHold', 'PUT', 'object', 'legal-hold'),
  row('GetObjectRetention', 'GET', 'object', 'retention'),
  row('PutObjectRetention', 'PUT', 'object', 'retention'),
  row('GetObjectTagging', 'GET', 'object', 'tagging'),
  row('PutObjectTagging', 'PUT', 'object', 'tagging'),
  row('DeleteObjectTagging', 'DELETE', 'object', 'tagging'),
  row('GetObjectTorrent', 'GET', 'object', 'torrent'),
  row('RestoreObject', 'POST', 'object', 'restore'),
  row('SelectObjectContent', 'POST', 'object', 'select', 'select-type=2'),
  row('UpdateObjectEncryption', 'PUT', 'object', 'encryption'),
  row('CreateMultipartUpload', 'POST', 'object', 'uploads'),
  row('CompleteMultipartUpload', 'POST', 'object', 'uploadId'),
  row('AbortMultipartUpload', 'DELETE', 'object', 'uploadId'),
  row('ListParts', 'GET', 'object', 'uploadId'),
  row('UploadPart', 'PUT', 'object', 'partNumber', 'uploadId'),
  row('UploadPartCopy', 'PUT', 'object', 'partNumber', 'uploadId', 'x-amz-copy-source'),

  // Ceph's: https://docs.ceph.com/en/latest/radosgw/s3/bucketops/#post-bucket-logging
  row('PostBucketLogging', 'POST', 'bucket', 'logging'),
  row('GetUsageStats', 'GET', 'service', 'usage'),

  // Tigris' (docs/shadow-buckets.md, docs/content-hosts.md), and our own (docs/usage.md).
  row('GetBucketInformation', 'GET', 'bucket', 'metadata'),
  row('PatchBucket', 'PATCH', 'bucket'),
  row('StartBucketMigration', 'POST', 'bucket', 'migration'),
  row('GetBucketMigration', 'GET', 'bucket', 'migration'),
  row('CancelBucketMigration', 'DELETE', 'bucket', 'migration'),
  row('GetUsage', 'GET', 'service', 'meridian-usage'),

  // A bucket's name has no capitals, so this path is the operation's own: https://docs.aws.amazon.com/AmazonS3/latest/API/API_WriteGetObjectResponse.html
  row('WriteGetObjectResponse', 'POST', 'bucket', 'x-amz-request-route'),
]
