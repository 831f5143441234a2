import { type Context, operation, type S3Request } from '#gateway/operations/operation.ts'
import { answerSoon, encodeAnswer } from '#gateway/operations/slow-answer.ts'
import { checksumElements, parseAlgorithm } from '#gateway/wire/checksums.ts'
import { copySourceConditions, writeConditions } from '#gateway/wire/conditions.ts'
import { type CopySource, parseCopySource } from '#gateway/wire/copy-source.ts'
import { asksEncryption, decodeCustomerKey, encodeEncryption } from '#gateway/wire/encryption-headers.ts'
import { quoteEtag } from '#gateway/wire/etag.ts'
import { formatIsoDate } from '#gateway/wire/http-date.ts'
import { encodeExpiry } from '#gateway/wire/lifecycle-headers.ts'
import { encodeVersionId } from '#gateway/wire/object-response.ts'
import { el, type Xml } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import type { Guard } from '#src/model/guard.ts'
import type { ObjectAttributes } from '#src/model/upload.ts'
import type { ObjectVersion } from '#src/model/version.ts'
import type { Written } from '#src/service/services.ts'
import { decodeAttributes, resolveNewObject } from './attributes.ts'
import { renameTo } from './rename-object.ts'
import { nameOf } from './target.ts'

type Copied = Written & { readonly sourceVersionId: string | undefined }

interface Directives {
  /** Whether the request's headers, or the source's, are the copy's. */
  readonly replacesMetadata: boolean
  readonly replacesTags: boolean
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html */
export const copyObject = operation({
  name: 'CopyObject',
  match: { method: 'PUT', scope: 'object', keys: ['x-amz-copy-source'] },
  action: 's3:PutObject',

  decode(request) {
    const { headers } = request
    const source = parseCopySource(headers['x-amz-copy-source'] ?? '')
    const directives = decodeDirectives(headers)
    const isRename = headers['x-tigris-rename']?.toLowerCase() === 'true'
    if (!isRename) refuseNoChange(request, source, directives)
    const algorithm = headers['x-amz-checksum-algorithm']
    return {
      source,
      directives,
      isRename,
      requested: decodeAttributes(headers),
      conditions: writeConditions(headers),
      sourceConditions: copySourceConditions(headers),
      checksum: algorithm === undefined ? undefined : parseAlgorithm('x-amz-checksum-algorithm', algorithm),
    }
  },

  async run(input, context) {
    const { source, directives, requested, conditions, sourceConditions, checksum } = input
    const { guard, services, request } = context
    if (input.isRename) {
      const written = renameTo(source, { conditions, sourceConditions }, context)
      const renamed = written.then((each) => ({ ...each, sourceVersionId: undefined }))
      return { answer: await answerSoon<Copied>(renamed), told: undefined }
    }
    const readGuard = await authorizeSource(source, context)
    const sourceGuard = directives.replacesTags ? readGuard : withTags(readGuard, await authorizeTags(source, context))
    const { attributes: own, ...wanted } = await resolveNewObject(requested, context)
    const customerKey = decodeCustomerKey(request.headers, 'source')
    const copying = services.objects.copy({
      source: {
        ...source,
        guard: sourceGuard,
        conditions: sourceConditions,
        ...(customerKey !== undefined && { customerKey }),
      },
      name: nameOf(request),
      attributes: (version) => joinAttributes(own, version, directives),
      ...(checksum !== undefined && { checksum }),
      ...wanted,
      conditions,
      guard,
      cause: request,
    })
    return { answer: await answerSoon(copying), told: wanted.encryption }
  },

  encode({ answer, told }, request) {
    const known: Record<string, string> = {}
    encodeEncryption(told, request.headers, known)
    return encodeAnswer(answer, copyDocument, copyHeaders, known)
  },
})

function decodeDirectives(headers: S3Request['headers']): Directives {
  return {
    replacesMetadata: isReplace('x-amz-metadata-directive', 'Unknown metadata directive.', headers),
    replacesTags: isReplace('x-amz-tagging-directive', 'Unknown tagging directive.', headers),
  }
}

function isReplace(name: string, message: string, headers: S3Request['headers']): boolean {
  const value = headers[name]
  if (value === undefined || value === 'COPY' || value === 'REPLACE') return value === 'REPLACE'
  throw new Fault('InvalidArgument', { message, ArgumentName: name, ArgumentValue: value })
}

/** A copy onto itself is for changing what cannot be changed otherwise. */
function refuseNoChange(
  { bucket, key, headers }: S3Request,
  { name, versionId }: CopySource,
  directives: Directives,
): void {
  const isItself = name.bucket === bucket && name.key === key && versionId === undefined
  const isChange =
    directives.replacesMetadata ||
    directives.replacesTags ||
    headers['x-amz-storage-class'] !== undefined ||
    headers['x-amz-website-redirect-location'] !== undefined ||
    headers['x-amz-checksum-algorithm'] !== undefined ||
    headers['x-tigris-regions'] !== undefined ||
    asksEncryption(headers)
  if (!isItself || isChange) return
  throw new Fault('InvalidRequest', {
    message:
      "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
  })
}

/** The caller must be allowed to read the source, and it must be whose he thinks it is. */
export async function authorizeSource({ name, versionId }: CopySource, context: Context): Promise<Guard> {
  const { authorize, request, services } = context
  const expected = request.headers['x-amz-source-expected-bucket-owner']
  if (expected !== undefined && (await services.buckets.get(name.bucket)).owner !== expected) {
    throw new Fault('AccessDenied')
  }
  if (versionId === undefined) return await authorize('s3:GetObject', name)
  return await authorize('s3:GetObjectVersion', { ...name, versionId })
}

/** Refuses when it is asked, not at once: most sources have no tags. */
async function authorizeTags({ name, versionId }: CopySource, { authorize }: Context): Promise<Guard> {
  const action = versionId === undefined ? 's3:GetObjectTagging' : 's3:GetObjectVersionTagging'
  return await authorize(action, { ...name, ...(versionId !== undefined && { versionId }) }).catch((error: unknown) => {
    if (!(error instanceof Fault)) throw error
    return () => {
      throw error
    }
  })
}

/** Tags come along only to who may read them: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html */
const withTags =
  (read: Guard, readTags: Guard): Guard =>
  (version, bucket) => {
    read(version, bucket)
    if ((version?.tags?.value.size ?? 0) > 0) readTags(version, bucket)
  }

/** ACL, storage class, lock and redirect never come along: they are the request's own. */
function joinAttributes(own: ObjectAttributes, source: ObjectVersion, directives: Directives): ObjectAttributes {
  const { replacesMetadata, replacesTags } = directives
  const { websiteRedirectLocation, ...described } = replacesMetadata ? own.headers : source.headers
  const redirect = own.headers.websiteRedirectLocation
  const tags = replacesTags ? own.tags : source.tags?.value
  const { tags: _, ...rest } = own
  return {
    ...rest,
    headers: { ...described, ...(redirect !== undefined && { websiteRedirectLocation: redirect }) },
    metadata: replacesMetadata ? own.metadata : source.metadata,
    ...(tags !== undefined && { tags }),
  }
}

function copyDocument({ version }: Copied): Xml {
  return el(
    'CopyObjectResult',
    el('LastModified', formatIsoDate(version.modified)),
    el('ETag', quoteEtag(version.etag)),
    ...checksumElements(version.checksum),
  )
}

function copyHeaders({ versionId, sourceVersionId, expiry }: Copied): Record<string, string> {
  const headers: Record<string, string> = {}
  encodeVersionId(versionId, headers)
  encodeExpiry(expiry, headers)
  if (sourceVersionId !== undefined) headers['x-amz-copy-source-version-id'] = sourceVersionId
  return headers
}
