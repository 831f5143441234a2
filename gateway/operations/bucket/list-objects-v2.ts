import { operation } from '#gateway/operations/operation.ts'
import { decodeToken, encodeToken } from '#gateway/wire/continuation-token.ts'
import { echoElements, keyElement, prefixElements, summaryElements } from '#gateway/wire/listing-elements.ts'
import { listingQuery } from '#gateway/wire/listing-query.ts'
import { findOwners } from '#gateway/wire/owners.ts'
import { el } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import type { ListQuery } from '#src/service/listing-services.ts'
import { asksRestores } from './optional-attributes.ts'
import { prefetchListed } from './prefetch.ts'

/** As Tigris has it, of a bucket with a shadow. */
function sourceOf(header: string | undefined): Pick<ListQuery, 'source'> {
  if (header === undefined) return {}
  const source = header.toLowerCase() === 'shadow' ? 'shadow' : header.toLowerCase() === 'tigris' ? 'here' : undefined
  if (source !== undefined) return { source }
  throw new Fault('InvalidArgument', { ArgumentName: 'X-Tigris-List-Source', ArgumentValue: header })
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html */
export const listObjectsV2 = operation({
  name: 'ListObjectsV2',
  match: { method: 'GET', scope: 'bucket', keys: ['list-type=2'] },
  site: 'cells',
  action: 's3:ListBucket',

  decode({ query, headers }) {
    const token = query.get('continuation-token')
    const startAfter = query.get('start-after')
    return {
      ...listingQuery(query, 'max-keys'),
      showsRestores: asksRestores(headers),
      ...sourceOf(headers['x-tigris-list-source']),
      token,
      startAfter,
      // The token wins: it is where a page that started at start-after ended. An empty one is none.
      after: token === undefined || token === '' ? (startAfter ?? '') : decodeToken(token),
      showsOwner: query.get('fetch-owner')?.toLowerCase() === 'true',
    }
  },

  async run(input, context) {
    const { services, guard, request } = context
    const listing = await services.listings.objects({ ...input, bucket: request.bucket, guard })
    prefetchListed(context, listing.items)
    const shown = input.showsOwner ? listing.items.map((each) => each.version.owner) : []
    return { input, listing, owners: await findOwners(services.identity, shown) }
  },

  encode({ input, listing, owners }, { bucket }) {
    const { encoding, token, startAfter } = input
    const { items, prefixes, isTruncated, nextKey } = listing
    const contents = items.map(({ key, version, restore }) =>
      el('Contents', el('Key', encoding.encode(key)), ...summaryElements(version, owners.get(version.owner), restore)),
    )
    return {
      status: 200,
      body: el(
        'ListBucketResult',
        el('Name', bucket),
        token === undefined ? undefined : el('ContinuationToken', token),
        nextKey === undefined ? undefined : el('NextContinuationToken', encodeToken(nextKey)),
        keyElement('StartAfter', startAfter, encoding),
        el('KeyCount', items.length + prefixes.length),
        el('MaxKeys', input.limit),
        ...echoElements(input),
        el('IsTruncated', isTruncated),
        ...contents,
        ...prefixElements(prefixes, encoding),
      ),
    }
  },
})
