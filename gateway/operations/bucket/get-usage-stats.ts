import { operation } from '#gateway/operations/operation.ts'
import { el, renderPlain } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import type { BucketSize } from '#src/service/listing-services.ts'
import { measuredMost } from './head-bucket.ts'

const unlimited = '-1'

/** An extension of ceph: what the caller's account has, and may have. https://docs.ceph.com/en/latest/radosgw/s3/serviceops/ */
export const getUsageStats = operation({
  name: 'GetUsageStats',
  match: { method: 'GET', scope: 'service', keys: ['usage'] },
  action: 's3:ListAllMyBuckets',
  decode: () => undefined,

  async run(_, { caller, services }) {
    if (caller.kind === 'anonymous') throw new Fault('AccessDenied')
    const { buckets, listings } = services
    let total: BucketSize | undefined = { objects: 0, bytes: 0 }
    const { items } = await buckets.list(caller.account.id, { limit: buckets.most })
    for (const bucket of items) {
      const size: BucketSize | undefined = await listings.measure(bucket, measuredMost - total.objects)
      if (size === undefined) return { total: undefined, most: buckets.most }
      total = { objects: total.objects + size.objects, bytes: total.bytes + size.bytes }
    }
    return { total, most: buckets.most }
  },

  encode: ({ total, most }) => ({
    status: 200,
    headers: { 'content-type': 'application/xml' },
    body: renderPlain(
      el(
        'Usage',
        el(
          'Summary',
          el('QuotaMaxBytes', unlimited),
          el('QuotaMaxBuckets', most),
          el('QuotaMaxObjCount', unlimited),
          el('QuotaMaxBytesPerBucket', unlimited),
          el('QuotaMaxObjCountPerBucket', unlimited),
          total === undefined ? undefined : el('TotalBytes', total.bytes),
          total === undefined ? undefined : el('TotalEntries', total.objects),
        ),
      ),
    ),
  }),
})
