import { passGuard } from '#gateway/operations/object/target.ts'
import { operation, type S3Request } from '#gateway/operations/operation.ts'
import { ownerElement } from '#gateway/wire/acl-document.ts'
import { partChecksumElement } from '#gateway/wire/checksums.ts'
import { quoteEtag } from '#gateway/wire/etag.ts'
import { formatIsoDate } from '#gateway/wire/http-date.ts'
import { integerArgument } from '#gateway/wire/integer.ts'
import { encodeAbort } from '#gateway/wire/lifecycle-headers.ts'
import { el, type Xml } from '#gateway/xml/render.ts'
import type { Person } from '#src/model/acl.ts'
import type { Part } from '#src/model/version.ts'
import type { Identity } from '#src/service/services.ts'
import { findAbort, uploadOf } from './target.ts'

const pageMax = 1000
const numberMax = 2 ** 31 - 1

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html */
export const listParts = operation({
  name: 'ListParts',
  match: { method: 'GET', scope: 'object', keys: ['uploadId'] },
  site: 'upload',
  action: 's3:ListMultipartUploadParts',

  decode(request) {
    const limit = parameter(request, 'max-parts') ?? pageMax
    const after = parameter(request, 'part-number-marker') ?? 0
    return { ...uploadOf(request), after, limit: Math.min(limit, pageMax) }
  },

  async run(input, context) {
    await passGuard(context)
    const { uploads, identity } = context.services
    const listed = await uploads.listParts(input)
    const { attributes, initiator } = listed.upload
    return {
      ...listed,
      after: input.after,
      limit: input.limit,
      abort: await findAbort(context, listed.upload),
      initiator: await findPerson(identity, initiator),
      owner: await findPerson(identity, attributes.owner),
    }
  },

  encode({ upload, parts, isTruncated, after, limit, initiator, owner, abort }) {
    const { name, id, checksum, attributes } = upload
    const body = el(
      'ListPartsResult',
      el('Bucket', name.bucket),
      el('Key', name.key),
      el('UploadId', id),
      ownerElement('Initiator', initiator),
      ownerElement('Owner', owner),
      el('StorageClass', attributes.storageClass),
      el('PartNumberMarker', after),
      el('NextPartNumberMarker', parts.at(-1)?.number ?? 0),
      el('MaxParts', limit),
      el('IsTruncated', isTruncated),
      checksum === undefined ? undefined : el('ChecksumAlgorithm', checksum.algorithm),
      checksum === undefined ? undefined : el('ChecksumType', checksum.type),
      ...parts.map(partElement),
    )
    const headers: Record<string, string> = {}
    encodeAbort(abort, headers)
    return { status: 200, headers, body }
  },
})

function parameter({ query }: S3Request, name: string): number | undefined {
  const text = query.get(name)
  return text === undefined || text === '' ? undefined : integerArgument(name, text, 0, numberMax)
}

const findPerson = async (identity: Identity, id: string): Promise<Person> =>
  (await identity.findAccount(id)) ?? { id, displayName: '' }

const partElement = ({ number, modified, etag, size, checksum }: Part): Xml =>
  el(
    'Part',
    el('PartNumber', number),
    el('LastModified', formatIsoDate(modified)),
    el('ETag', quoteEtag(etag)),
    el('Size', size),
    partChecksumElement(checksum),
  )
