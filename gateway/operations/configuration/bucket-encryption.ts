import { operation } from '#gateway/operations/operation.ts'
import {
  all,
  child,
  malformed,
  only,
  optionalBoolean,
  optionalChild,
  optionalText,
  text,
  texts,
  type XmlNode,
} from '#gateway/xml/parse.ts'
import { el, type Xml } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import type { BucketEncryption } from '#src/model/encryption.ts'
import { changeBucket, done, gone, present, readBucket, readDocument } from './setting.ts'

const root = 'ServerSideEncryptionConfiguration'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketEncryption.html */
export const getBucketEncryption = operation({
  name: 'GetBucketEncryption',
  match: { method: 'GET', scope: 'bucket', keys: ['encryption'] },
  action: 's3:GetEncryptionConfiguration',
  decode: () => undefined,
  async run(_, context) {
    const bucket = await readBucket(context)
    return present(bucket.encryption, 'ServerSideEncryptionConfigurationNotFoundError', bucket)
  },
  encode: (encryption) => ({ status: 200, body: el(root, ruleElement(encryption)) }),
})

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketEncryption.html */
export const putBucketEncryption = operation({
  name: 'PutBucketEncryption',
  match: { method: 'PUT', scope: 'bucket', keys: ['encryption'] },
  action: 's3:PutEncryptionConfiguration',

  async decode(request) {
    const document = await readDocument(request, root)
    only(document, 'Rule')
    const rules = all(document, 'Rule')
    const [rule] = rules
    if (rule === undefined || rules.length > 1) throw malformed()
    return readRule(rule)
  },

  run: (encryption, context) => changeBucket(context, (bucket) => ({ ...bucket, encryption })),
  encode: done,
})

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketEncryption.html */
export const deleteBucketEncryption = operation({
  name: 'DeleteBucketEncryption',
  match: { method: 'DELETE', scope: 'bucket', keys: ['encryption'] },
  action: 's3:PutEncryptionConfiguration',
  decode: () => undefined,
  run: (_, context) => changeBucket(context, ({ encryption: _encryption, ...bucket }) => bucket),
  encode: gone,
})

function readRule(rule: XmlNode): BucketEncryption {
  const byDefault = child(rule, 'ApplyServerSideEncryptionByDefault')
  const algorithm = text(byDefault, 'SSEAlgorithm').trim()
  const keyId = optionalText(byDefault, 'KMSMasterKeyID')
  const hasBucketKey = optionalBoolean(rule, 'BucketKeyEnabled')
  if (algorithm === 'aws:kms:dsse') {
    throw new Fault('NotImplemented', { message: 'Dual-layer encryption is not implemented.' })
  }
  if (algorithm !== 'AES256' && algorithm !== 'aws:kms') throw malformed()
  if (keyId !== undefined && (keyId === '' || algorithm === 'AES256')) {
    const message = 'a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms'
    throw new Fault('InvalidArgument', { message, ArgumentName: 'KMSMasterKeyID', ArgumentValue: keyId })
  }
  return {
    algorithm,
    ...(keyId !== undefined && { keyId }),
    ...(hasBucketKey !== undefined && { hasBucketKey }),
    ...readBlocked(rule),
  }
}

function readBlocked(rule: XmlNode): { readonly blocksCustomerKeys?: boolean } {
  const node = optionalChild(rule, 'BlockedEncryptionTypes')
  if (node === undefined) return {}
  const types = texts(node, 'EncryptionType').map((each) => each.trim())
  if (types.length === 0 || types.some((each) => each !== 'NONE' && each !== 'SSE-C')) throw malformed()
  return { blocksCustomerKeys: types.includes('SSE-C') }
}

function ruleElement({ algorithm, keyId, hasBucketKey, blocksCustomerKeys }: BucketEncryption): Xml {
  return el(
    'Rule',
    el(
      'ApplyServerSideEncryptionByDefault',
      el('SSEAlgorithm', algorithm),
      keyId === undefined ? undefined : el('KMSMasterKeyID', keyId),
    ),
    el('BucketKeyEnabled', hasBucketKey ?? false),
    blocksCustomerKeys === undefined
      ? undefined
      : el('BlockedEncryptionTypes', el('EncryptionType', blocksCustomerKeys ? 'SSE-C' : 'NONE')),
  )
}
