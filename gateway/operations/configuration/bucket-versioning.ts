import { operation } from '#gateway/operations/operation.ts'
import { malformed, optionalText } from '#gateway/xml/parse.ts'
import { el } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { replicationOf } from '#src/model/replication.ts'
import { changeBucket, done, readBucket, readDocument } from './setting.ts'

const statuses = { off: undefined, enabled: 'Enabled', suspended: 'Suspended' } as const

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketVersioning.html */
export const getBucketVersioning = operation({
  name: 'GetBucketVersioning',
  match: { method: 'GET', scope: 'bucket', keys: ['versioning'] },
  action: 's3:GetBucketVersioning',
  decode: () => undefined,
  run: (_, context) => readBucket(context),
  encode({ versioning }) {
    const status = statuses[versioning]
    return {
      status: 200,
      body: el('VersioningConfiguration', status === undefined ? undefined : el('Status', status)),
    }
  },
})

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketVersioning.html */
export const putBucketVersioning = operation({
  name: 'PutBucketVersioning',
  match: { method: 'PUT', scope: 'bucket', keys: ['versioning'] },
  action: 's3:PutBucketVersioning',

  async decode(request) {
    const document = await readDocument(request, 'VersioningConfiguration')
    // It would promise that versions cannot be deleted without a device.
    if (optionalText(document, 'MfaDelete') === 'Enabled' || request.headers['x-amz-mfa'] !== undefined) {
      throw new Fault('NotImplemented', { message: 'MFA delete is not implemented.' })
    }
    const status = optionalText(document, 'Status')
    if (status === undefined) throw new Fault('IllegalVersioningConfigurationException')
    if (status !== 'Enabled' && status !== 'Suspended') throw malformed()
    return status === 'Enabled' ? 'enabled' : 'suspended'
  },

  run: (versioning, context) => changeBucket(context, (bucket) => versioned(bucket, versioning)),
  encode: done,
})

function versioned(bucket: Bucket, versioning: 'enabled' | 'suspended'): Bucket {
  if (bucket.hasObjectLock && versioning === 'suspended') {
    throw new Fault('InvalidBucketState', {
      message: 'An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.',
    })
  }
  if (versioning === 'suspended' && replicationOf(bucket) !== undefined) {
    throw new Fault('InvalidBucketState', {
      message:
        'A replication configuration is present on this bucket, so you cannot change the versioning state. To change the versioning state, first delete the replication configuration.',
    })
  }
  return bucket.versioning === versioning ? bucket : { ...bucket, versioning }
}
