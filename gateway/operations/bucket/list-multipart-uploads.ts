import { operation } from '#gateway/operations/operation.ts'
import { ownerElement } from '#gateway/wire/acl-document.ts'
import { formatIsoDate } from '#gateway/wire/http-date.ts'
import { echoElements, keyElement, prefixElements } from '#gateway/wire/listing-elements.ts'
import { type KeyEncoding, listingQuery } from '#gateway/wire/listing-query.ts'
import { findOwners } from '#gateway/wire/owners.ts'
import { el, type Xml } from '#gateway/xml/render.ts'
import type { Person } from '#src/model/acl.ts'
import type { Upload } from '#src/model/upload.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html */
export const listMultipartUploads = operation({
  name: 'ListMultipartUploads',
  match: { method: 'GET', scope: 'bucket', keys: ['uploads'] },
  site: 'cells',
  action: 's3:ListBucketMultipartUploads',

  decode: ({ query }) => ({
    ...listingQuery(query, 'max-uploads'),
    keyMarker: query.get('key-marker') ?? '',
    // Without a key marker it says nothing.
    uploadIdMarker: query.get('upload-id-marker') ?? '',
  }),

  async run(input, { services, guard, request }) {
    const { uploadIdMarker, ...query } = input
    const listing = await services.listings.uploads({
      ...query,
      bucket: request.bucket,
      guard,
      ...(uploadIdMarker !== '' && { uploadIdMarker }),
    })
    const people = listing.items.flatMap(({ initiator, attributes }) => [initiator, attributes.owner])
    return { input, listing, owners: await findOwners(services.identity, people) }
  },

  encode({ input, listing, owners }, { bucket }) {
    const { encoding, keyMarker, uploadIdMarker } = input
    const { items, prefixes, isTruncated, nextKey, nextUploadId } = listing
    return {
      status: 200,
      body: el(
        'ListMultipartUploadsResult',
        el('Bucket', bucket),
        el('KeyMarker', encoding.encode(keyMarker)),
        el('UploadIdMarker', uploadIdMarker),
        keyElement('NextKeyMarker', nextKey, encoding),
        nextUploadId === undefined ? undefined : el('NextUploadIdMarker', nextUploadId),
        el('MaxUploads', input.limit),
        ...echoElements(input),
        el('IsTruncated', isTruncated),
        ...items.map((each) => uploadElement(each, owners, encoding)),
        ...prefixElements(prefixes, encoding),
      ),
    }
  },
})

function uploadElement(upload: Upload, owners: ReadonlyMap<string, Person>, { encode }: KeyEncoding): Xml {
  const { id, name, attributes, initiator, initiated, checksum } = upload
  const person = (element: string, of: string): Xml =>
    ownerElement(element, owners.get(of) ?? { id: of, displayName: '' })
  return el(
    'Upload',
    el('Key', encode(name.key)),
    el('UploadId', id),
    person('Initiator', initiator),
    person('Owner', attributes.owner),
    el('StorageClass', attributes.storageClass),
    el('Initiated', formatIsoDate(initiated)),
    checksum === undefined ? undefined : el('ChecksumAlgorithm', checksum.algorithm),
    checksum === undefined ? undefined : el('ChecksumType', checksum.type),
  )
}
