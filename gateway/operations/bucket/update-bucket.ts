import { changeBucket } from '#gateway/operations/configuration/setting.ts'
import { collectVerified } from '#gateway/operations/object/verified-body.ts'
import { operation, type S3Request } from '#gateway/operations/operation.ts'
import { decodeDigests } from '#gateway/wire/checksums.ts'
import { settingsLimits } from '#gateway/xml/parse.ts'
import { Fault } from '#src/errors.ts'

interface Wish {
  readonly regions?: string
  readonly durability?: number
}

/**
 * Changes where a bucket is, as Tigris' SDKs ask for it: `X-Tigris-Regions`, or `object_regions` in a body of JSON; empty or
 * `global`: in all regions. https://www.tigrisdata.com/docs/buckets/locations/ And, of our own, in how many regions a write is
 * before it is acknowledged: `X-Meridian-Durability-Regions`, or `durability_regions`.
 */
export const updateBucket = operation({
  name: 'UpdateBucket',
  match: { method: 'PATCH', scope: 'bucket' },
  action: 's3:PutBucketLocation',

  async decode(request): Promise<Wish> {
    const { 'x-tigris-regions': regions, 'x-meridian-durability-regions': durability } = request.headers
    if (regions === undefined && durability === undefined) return await readWish(request)
    return {
      ...(regions !== undefined && { regions }),
      ...(durability !== undefined && { durability: countOf(durability) }),
    }
  },

  run: ({ regions: wished, durability }, context) =>
    changeBucket(context, (bucket) => {
      const { regions } = context.services
      if (regions === undefined) {
        throw new Fault('InvalidRequest', { message: 'There are no other regions: this server is in no cluster.' })
      }
      const kept = durability === undefined ? bucket : regions.durable(bucket, durability)
      if (wished === undefined) return kept
      return regions.moved(kept, wished === '' || wished === 'global' ? '' : regions.chosen(wished))
    }),

  encode: () => ({
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ status: 'success', message: '' }),
  }),
})

const regionsMost = 16

function countOf(text: string): number {
  if (/^[1-9]\d?$/.test(text) && Number(text) <= regionsMost) return Number(text)
  const message = `The number of regions is to be between 1 and ${regionsMost}.`
  throw new Fault('InvalidArgument', { message, ArgumentName: 'durability_regions', ArgumentValue: text })
}

const notHere = (): Fault =>
  new Fault('NotImplemented', { message: 'Of a bucket, only its regions and their number are changed this way.' })

async function readWish({ body, headers }: S3Request): Promise<Wish> {
  const bytes = await collectVerified(body, decodeDigests(headers, body), settingsLimits.bytesMax)
  const { object_regions: regions, durability_regions: durability, ...others } = bytes.length === 0 ? {} : parse(bytes)
  if (Object.keys(others).length > 0 || (regions === undefined && durability === undefined)) throw notHere()
  if (regions !== undefined && typeof regions !== 'string') throw notHere()
  return {
    ...(regions !== undefined && { regions }),
    ...(durability !== undefined && { durability: countOf(String(durability)) }),
  }
}

function parse(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const settings: unknown = JSON.parse(Buffer.from(bytes).toString())
    if (typeof settings === 'object' && settings !== null) return { ...settings }
  } catch {
    // Below.
  }
  throw new Fault('InvalidRequest', { message: 'The body is not a JSON object.' })
}
