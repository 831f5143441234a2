import { operation } from '#gateway/operations/operation.ts'
import { checksumElements, partChecksumElement } from '#gateway/wire/checksums.ts'
import { decodeReadKey } from '#gateway/wire/encryption-headers.ts'
import { formatHttpDate } from '#gateway/wire/http-date.ts'
import { integerArgument } from '#gateway/wire/integer.ts'
import { encodeVersionId } from '#gateway/wire/object-response.ts'
import { el, type Xml } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import type { Part } from '#src/model/version.ts'
import { actionOf, bothGuards, targetOf } from './target.ts'

const attributeNames = ['ETag', 'Checksum', 'ObjectParts', 'StorageClass', 'ObjectSize'] as const
type AttributeName = (typeof attributeNames)[number]

const pageMax = 1000

interface Page {
  readonly after: number
  readonly limit: number
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html */
export const getObjectAttributes = operation({
  name: 'GetObjectAttributes',
  match: { method: 'GET', scope: 'object', keys: ['attributes'] },
  action: actionOf('s3:GetObjectAttributes', 's3:GetObjectVersionAttributes'),

  decode(request) {
    const { headers } = request
    const customerKey = decodeReadKey(headers)
    const after = headers['x-amz-part-number-marker']
    const limit = headers['x-amz-max-parts']
    return {
      target: { ...targetOf(request), ...(customerKey !== undefined && { customerKey }) },
      wanted: decodeNames(headers['x-amz-object-attributes']),
      page: {
        after: after === undefined ? 0 : integerArgument('part-number-marker', after, 0, 2 ** 31 - 1),
        limit: limit === undefined ? pageMax : Math.min(pageMax, integerArgument('max-parts', limit, 0, 2 ** 31 - 1)),
      },
    }
  },

  async run({ target, wanted, page }, { services, guard, authorize }) {
    const { name, versionId } = target
    const action = versionId === undefined ? 's3:GetObject' : 's3:GetObjectVersion'
    const readGuard = await authorize(action, { ...name, ...(versionId !== undefined && { versionId }) })
    const found = await services.objects.parts({
      ...target,
      after: page.after,
      limit: page.limit + 1,
      guard: bothGuards(guard, readGuard),
    })
    return { ...found, wanted, page }
  },

  encode({ version, versionId, parts, total, wanted, page }) {
    const headers: Record<string, string> = { 'last-modified': formatHttpDate(version.modified) }
    encodeVersionId(versionId, headers)
    const { checksum } = version
    const body = el(
      'GetObjectAttributesResponse',
      wanted.has('ETag') ? el('ETag', version.etag) : undefined,
      wanted.has('Checksum') && checksum !== undefined ? el('Checksum', ...checksumElements(checksum)) : undefined,
      wanted.has('ObjectParts') && total > 0 ? partsElement(parts, total, page) : undefined,
      wanted.has('StorageClass') ? el('StorageClass', version.storageClass) : undefined,
      wanted.has('ObjectSize') ? el('ObjectSize', version.size) : undefined,
    )
    return { status: 200, headers, body }
  },
})

function decodeNames(text: string | undefined): ReadonlySet<AttributeName> {
  const names = (text ?? '').split(',').map((name) => name.trim())
  const known = names.flatMap((name) => attributeNames.find((each) => each === name) ?? [])
  if (known.length === names.length) return new Set(known)
  throw new Fault('InvalidArgument', {
    message: 'Invalid attribute name specified.',
    ArgumentName: 'x-amz-object-attributes',
    ArgumentValue: text ?? '',
  })
}

/** `parts` may hold one more than the page, which says that there are more. */
function partsElement(parts: readonly Part[], total: number, { after, limit }: Page): Xml {
  const page = parts.slice(0, limit)
  const isTruncated = parts.length > limit
  return el(
    'ObjectParts',
    el('PartsCount', total),
    el('PartNumberMarker', after),
    isTruncated ? el('NextPartNumberMarker', page.at(-1)?.number ?? after) : undefined,
    el('MaxParts', limit),
    el('IsTruncated', isTruncated),
    ...page.map(({ number, size, checksum }) =>
      el('Part', partChecksumElement(checksum), el('PartNumber', number), el('Size', size)),
    ),
  )
}
