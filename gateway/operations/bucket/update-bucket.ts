import { changeBucket } from '#gateway/operations/configuration/setting.ts'
import { collectVerified } from '#gateway/operations/object/verified-body.ts'
import { operation, type S3Request } from '#gateway/operations/operation.ts'
import { decodeDigests } from '#gateway/wire/checksums.ts'
import { settingsLimits } from '#gateway/xml/parse.ts'
import { Fault } from '#src/errors.ts'

/**
 * Changes where a bucket is, as Tigris' SDKs ask for it: `X-Tigris-Regions`, or `object_regions` in a body of JSON. Empty or
 * `global`: in all regions. https://www.tigrisdata.com/docs/buckets/locations/
 */
export const updateBucket = operation({
  name: 'UpdateBucket',
  match: { method: 'PATCH', scope: 'bucket' },
  action: 's3:PutBucketLocation',

  async decode(request) {
    const wish = request.headers['x-tigris-regions'] ?? (await readWish(request))
    if (wish !== undefined) return wish
    throw new Fault('NotImplemented', { message: 'Of a bucket, only its regions are changed this way.' })
  },

  run: (wish, context) =>
    changeBucket(context, (bucket) => {
      const { regions } = context.services
      if (regions === undefined) {
        throw new Fault('InvalidRequest', { message: 'There are no other regions: this server is in no cluster.' })
      }
      return regions.moved(bucket, wish === '' || wish === 'global' ? '' : regions.chosen(wish))
    }),

  encode: () => ({
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ status: 'success', message: '' }),
  }),
})

async function readWish({ body, headers }: S3Request): Promise<string | undefined> {
  const bytes = await collectVerified(body, decodeDigests(headers, body), settingsLimits.bytesMax)
  if (bytes.length === 0) return undefined
  const settings = parse(Buffer.from(bytes).toString())
  const { object_regions: regions } = settings
  return typeof regions === 'string' && Object.keys(settings).length === 1 ? regions : undefined
}

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    const settings: unknown = JSON.parse(text)
    if (typeof settings === 'object' && settings !== null) return { ...settings }
  } catch {
    // Below.
  }
  throw new Fault('InvalidRequest', { message: 'The body is not a JSON object.' })
}
