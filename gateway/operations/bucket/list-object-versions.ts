import { operation } from '#gateway/operations/operation.ts'
import { ownerElement } from '#gateway/wire/acl-document.ts'
import { formatIsoDate } from '#gateway/wire/http-date.ts'
import { echoElements, keyElement, prefixElements, summaryElements } from '#gateway/wire/listing-elements.ts'
import { type KeyEncoding, listingQuery } from '#gateway/wire/listing-query.ts'
import { findOwners } from '#gateway/wire/owners.ts'
import { el, type Xml } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import type { Person } from '#src/model/acl.ts'
import type { ListedVersion } from '#src/service/listing-services.ts'
import { asksRestores } from './optional-attributes.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html */
export const listObjectVersions = operation({
  name: 'ListObjectVersions',
  match: { method: 'GET', scope: 'bucket', keys: ['versions'] },
  site: 'cells',
  action: 's3:ListBucketVersions',

  decode({ query, headers }) {
    const keyMarker = query.get('key-marker') ?? ''
    const versionIdMarker = query.get('version-id-marker') ?? ''
    if (keyMarker === '' && versionIdMarker !== '') {
      throw new Fault('InvalidArgument', {
        message: 'A version-id marker cannot be specified without a key marker.',
        ArgumentName: 'version-id-marker',
        ArgumentValue: versionIdMarker,
      })
    }
    return { ...listingQuery(query, 'max-keys'), showsRestores: asksRestores(headers), keyMarker, versionIdMarker }
  },

  async run(input, { services, guard, request }) {
    const { versionIdMarker, ...query } = input
    const listing = await services.listings.versions({
      ...query,
      bucket: request.bucket,
      guard,
      ...(versionIdMarker !== '' && { versionIdMarker }),
    })
    const owners = await findOwners(
      services.identity,
      listing.items.map((each) => each.version.owner),
    )
    return { input, listing, owners }
  },

  encode({ input, listing, owners }, { bucket }) {
    const { encoding, keyMarker, versionIdMarker } = input
    const { items, prefixes, isTruncated, nextKey, nextVersionId } = listing
    return {
      status: 200,
      body: el(
        'ListVersionsResult',
        el('Name', bucket),
        el('KeyMarker', encoding.encode(keyMarker)),
        el('VersionIdMarker', versionIdMarker),
        keyElement('NextKeyMarker', nextKey, encoding),
        nextVersionId === undefined ? undefined : el('NextVersionIdMarker', nextVersionId),
        el('MaxKeys', input.limit),
        ...echoElements(input),
        el('IsTruncated', isTruncated),
        ...items.map((each) => versionElement(each, owners.get(each.version.owner), encoding)),
        ...prefixElements(prefixes, encoding),
      ),
    }
  },
})

function versionElement(listed: ListedVersion, owner: Person | undefined, { encode }: KeyEncoding): Xml {
  const { key, version, versionId, isLatest, restore } = listed
  const name = [el('Key', encode(key)), el('VersionId', versionId), el('IsLatest', isLatest)]
  if (version.kind === 'object') return el('Version', ...name, ...summaryElements(version, owner, restore))
  const modified = el('LastModified', formatIsoDate(version.modified))
  return el('DeleteMarker', ...name, modified, owner === undefined ? undefined : ownerElement('Owner', owner))
}
