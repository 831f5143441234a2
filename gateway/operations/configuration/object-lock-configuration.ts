import { operation } from '#gateway/operations/operation.ts'
import { child, malformed, optionalChild, optionalText, text, type XmlNode } from '#gateway/xml/parse.ts'
import { el, type Xml } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { type DefaultRetention, defaultRetentionOf, withObjectLock } from '#src/model/object-lock.ts'
import { changeBucket, done, readBucket, readDocument } from './setting.ts'

/** A hundred years. */
const most = { Days: 36_500, Years: 100 } as const

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectLockConfiguration.html */
export const getObjectLockConfiguration = operation({
  name: 'GetObjectLockConfiguration',
  match: { method: 'GET', scope: 'bucket', keys: ['object-lock'] },
  action: 's3:GetBucketObjectLockConfiguration',
  decode: () => undefined,

  async run(_, context) {
    const bucket = await readBucket(context)
    if (!bucket.hasObjectLock) throw new Fault('ObjectLockConfigurationNotFoundError', { BucketName: bucket.name })
    return defaultRetentionOf(bucket)
  },

  encode: (retention) => ({
    status: 200,
    body: el(
      'ObjectLockConfiguration',
      el('ObjectLockEnabled', 'Enabled'),
      retention === undefined ? undefined : ruleElement(retention),
    ),
  }),
})

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectLockConfiguration.html */
export const putObjectLockConfiguration = operation({
  name: 'PutObjectLockConfiguration',
  match: { method: 'PUT', scope: 'bucket', keys: ['object-lock'] },
  action: 's3:PutBucketObjectLockConfiguration',

  async decode(request) {
    const document = await readDocument(request, 'ObjectLockConfiguration')
    if (text(document, 'ObjectLockEnabled') !== 'Enabled') throw malformed()
    const rule = optionalChild(document, 'Rule')
    return rule === undefined ? undefined : readRetention(child(rule, 'DefaultRetention'))
  },

  run: (retention, context) => changeBucket(context, (bucket) => locked(bucket, retention)),
  encode: done,
})

function locked(bucket: Bucket, retention: DefaultRetention | undefined): Bucket {
  if (bucket.versioning !== 'enabled') {
    throw new Fault('InvalidBucketState', {
      message: "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
    })
  }
  return withObjectLock(bucket, retention)
}

function readRetention(node: XmlNode): DefaultRetention {
  const mode = text(node, 'Mode')
  const days = optionalText(node, 'Days')
  const years = optionalText(node, 'Years')
  if (mode !== 'GOVERNANCE' && mode !== 'COMPLIANCE') throw malformed()
  if ((days === undefined) === (years === undefined)) throw malformed()
  if (days !== undefined) return { mode, unit: 'Days', count: period(days, most.Days) }
  return { mode, unit: 'Years', count: period(years ?? '', most.Years) }
}

function period(digits: string, max: number): number {
  if (!/^-?\d{1,15}$/.test(digits)) throw malformed()
  const count = Number(digits)
  if (count > 0 && count <= max) return count
  throw new Fault('InvalidRetentionPeriod', { message: `The retention period must be from 1 to ${max}.` })
}

function ruleElement({ mode, unit, count }: DefaultRetention): Xml {
  return el('Rule', el('DefaultRetention', el('Mode', mode), el(unit, count)))
}
