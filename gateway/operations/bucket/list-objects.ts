import { operation } from '#gateway/operations/operation.ts'
import { echoElements, keyElement, prefixElements, summaryElements } from '#gateway/wire/listing-elements.ts'
import { listingQuery } from '#gateway/wire/listing-query.ts'
import { findOwners } from '#gateway/wire/owners.ts'
import { el } from '#gateway/xml/render.ts'
import { asksRestores } from './optional-attributes.ts'
import { prefetchListed } from './prefetch.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html */
export const listObjects = operation({
  name: 'ListObjects',
  match: { method: 'GET', scope: 'bucket' },
  site: 'cells',
  action: 's3:ListBucket',

  decode({ query, headers }) {
    return {
      ...listingQuery(query, 'max-keys'),
      showsRestores: asksRestores(headers),
      marker: query.get('marker') ?? '',
    }
  },

  async run(input, context) {
    const { services, guard, request } = context
    const listing = await services.listings.objects({ ...input, bucket: request.bucket, after: input.marker, guard })
    prefetchListed(context, listing.items)
    const owners = await findOwners(
      services.identity,
      listing.items.map((each) => each.version.owner),
    )
    return { input, listing, owners }
  },

  encode({ input, listing, owners }, { bucket }) {
    const { encoding, delimiter } = input
    const { items, prefixes, isTruncated, nextKey } = listing
    // Without a delimiter the last key is the next marker, and S3 does not say it twice.
    const next = delimiter === '' || !isTruncated ? undefined : nextKey
    const contents = items.map(({ key, version, restore }) =>
      el('Contents', el('Key', encoding.encode(key)), ...summaryElements(version, owners.get(version.owner), restore)),
    )
    return {
      status: 200,
      body: el(
        'ListBucketResult',
        el('Name', bucket),
        el('Marker', encoding.encode(input.marker)),
        keyElement('NextMarker', next, encoding),
        el('MaxKeys', input.limit),
        // Of version 1 alone AWS does not encode the prefix, and botocore does not decode it.
        ...echoElements(input, true),
        el('IsTruncated', isTruncated),
        ...contents,
        ...prefixElements(prefixes, encoding),
      ),
    }
  },
})
