import { Fault } from '#src/errors.ts'
import { getBucketInformation, patchBucket } from './bucket/bucket-information.ts'
import { createBucket } from './bucket/create-bucket.ts'
import { deleteBucket } from './bucket/delete-bucket.ts'
import { getBucketLocation } from './bucket/get-bucket-location.ts'
import { getUsage } from './bucket/get-usage.ts'
import { getUsageStats } from './bucket/get-usage-stats.ts'
import { headBucket } from './bucket/head-bucket.ts'
import { listBuckets } from './bucket/list-buckets.ts'
import { listMultipartUploads } from './bucket/list-multipart-uploads.ts'
import { listObjectVersions } from './bucket/list-object-versions.ts'
import { listObjects } from './bucket/list-objects.ts'
import { listObjectsV2 } from './bucket/list-objects-v2.ts'
import { bucketMigration } from './bucket/migration.ts'
import { getBucketAbac, putBucketAbac } from './configuration/bucket-abac.ts'
import {
  getBucketAccelerateConfiguration,
  putBucketAccelerateConfiguration,
} from './configuration/bucket-accelerate.ts'
import { getBucketAcl, putBucketAcl } from './configuration/bucket-acl.ts'
import { deleteBucketCors, getBucketCors, putBucketCors } from './configuration/bucket-cors.ts'
import { deleteBucketEncryption, getBucketEncryption, putBucketEncryption } from './configuration/bucket-encryption.ts'
import {
  deleteBucketLifecycle,
  getBucketLifecycleConfiguration,
  putBucketLifecycleConfiguration,
} from './configuration/bucket-lifecycle.ts'
import { getBucketLogging, postBucketLogging, putBucketLogging } from './configuration/bucket-logging.ts'
import {
  getBucketNotificationConfiguration,
  putBucketNotificationConfiguration,
} from './configuration/bucket-notification.ts'
import {
  deleteBucketOwnershipControls,
  getBucketOwnershipControls,
  putBucketOwnershipControls,
} from './configuration/bucket-ownership-controls.ts'
import {
  deleteBucketPolicy,
  getBucketPolicy,
  getBucketPolicyStatus,
  putBucketPolicy,
} from './configuration/bucket-policy.ts'
import {
  deleteBucketReplication,
  getBucketReplication,
  putBucketReplication,
} from './configuration/bucket-replication.ts'
import { getBucketRequestPayment, putBucketRequestPayment } from './configuration/bucket-request-payment.ts'
import { deleteBucketTagging, getBucketTagging, putBucketTagging } from './configuration/bucket-tagging.ts'
import { getBucketVersioning, putBucketVersioning } from './configuration/bucket-versioning.ts'
import { deleteBucketWebsite, getBucketWebsite, putBucketWebsite } from './configuration/bucket-website.ts'
import { bucketConfigurations } from './configuration/configurations.ts'
import { getObjectLockConfiguration, putObjectLockConfiguration } from './configuration/object-lock-configuration.ts'
import {
  deletePublicAccessBlock,
  getPublicAccessBlock,
  putPublicAccessBlock,
} from './configuration/public-access-block.ts'
import { copyObject } from './object/copy-object.ts'
import { deleteObject } from './object/delete-object.ts'
import { deleteObjects } from './object/delete-objects.ts'
import { getObject, headObject } from './object/get-object.ts'
import { getObjectAttributes } from './object/get-object-attributes.ts'
import { getObjectTorrent } from './object/get-object-torrent.ts'
import { getObjectAcl, putObjectAcl } from './object/object-acl.ts'
import { getObjectLegalHold, putObjectLegalHold } from './object/object-legal-hold.ts'
import { getObjectRetention, putObjectRetention } from './object/object-retention.ts'
import { deleteObjectTagging, getObjectTagging, putObjectTagging } from './object/object-tagging.ts'
import { postObject } from './object/post-object.ts'
import { putObject } from './object/put-object.ts'
import { renameObject } from './object/rename-object.ts'
import { restoreObject } from './object/restore-object.ts'
import { selectObjectContent } from './object/select-object-content.ts'
import { type Operation, operation } from './operation.ts'
import { everyOperation } from './unimplemented.ts'
import { abortMultipartUpload } from './upload/abort-multipart-upload.ts'
import { completeMultipartUpload } from './upload/complete-multipart-upload.ts'
import { createMultipartUpload } from './upload/create-multipart-upload.ts'
import { listParts } from './upload/list-parts.ts'
import { uploadPart } from './upload/upload-part.ts'
import { uploadPartCopy } from './upload/upload-part-copy.ts'

/** The operations there are: one import and one line each. Of equal weight, the first one is taken (D1). */
export const implemented: readonly Operation[] = [
  listBuckets,
  getUsageStats,
  getUsage,
  createBucket,
  headBucket,
  deleteBucket,
  getBucketLocation,
  listObjects,
  listObjectsV2,
  listObjectVersions,
  listMultipartUploads,
  getBucketInformation,
  patchBucket,
  ...bucketMigration,
  getBucketAbac,
  putBucketAbac,
  getBucketAccelerateConfiguration,
  putBucketAccelerateConfiguration,
  getBucketAcl,
  putBucketAcl,
  getBucketCors,
  putBucketCors,
  deleteBucketCors,
  getBucketEncryption,
  putBucketEncryption,
  deleteBucketEncryption,
  getBucketLifecycleConfiguration,
  putBucketLifecycleConfiguration,
  deleteBucketLifecycle,
  getBucketLogging,
  putBucketLogging,
  postBucketLogging,
  getBucketNotificationConfiguration,
  putBucketNotificationConfiguration,
  getBucketOwnershipControls,
  putBucketOwnershipControls,
  deleteBucketOwnershipControls,
  getBucketPolicy,
  putBucketPolicy,
  deleteBucketPolicy,
  getBucketPolicyStatus,
  getBucketReplication,
  putBucketReplication,
  deleteBucketReplication,
  getBucketRequestPayment,
  putBucketRequestPayment,
  getBucketTagging,
  putBucketTagging,
  deleteBucketTagging,
  getBucketVersioning,
  putBucketVersioning,
  getBucketWebsite,
  putBucketWebsite,
  deleteBucketWebsite,
  getObjectLockConfiguration,
  putObjectLockConfiguration,
  getPublicAccessBlock,
  putPublicAccessBlock,
  deletePublicAccessBlock,
  ...bucketConfigurations,
  copyObject,
  deleteObject,
  deleteObjects,
  getObject,
  headObject,
  getObjectAttributes,
  getObjectTorrent,
  getObjectAcl,
  putObjectAcl,
  getObjectLegalHold,
  putObjectLegalHold,
  getObjectRetention,
  putObjectRetention,
  deleteObjectTagging,
  getObjectTagging,
  putObjectTagging,
  postObject,
  putObject,
  renameObject,
  restoreObject,
  selectObjectContent,
  abortMultipartUpload,
  completeMultipartUpload,
  createMultipartUpload,
  listParts,
  uploadPart,
  uploadPartCopy,
]

function notImplemented(name: string, match: Operation['match']): Operation {
  return operation({
    name,
    match,
    action: `s3:${name}`,
    decode: () => {
      throw new Fault('NotImplemented', { message: `${name} is not implemented.`, Operation: name })
    },
    run: async () => undefined,
    encode: () => ({ status: 501 }),
  })
}

/** All of S3: what is there, and NotImplemented for what is not there yet. */
export function allOperations(present: readonly Operation[] = implemented): readonly Operation[] {
  const names = new Set(present.map(({ name }) => name))
  const absent = everyOperation.filter(({ name }) => !names.has(name))
  return [...present, ...absent.map(({ name, match }) => notImplemented(name, match))]
}
