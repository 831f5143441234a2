import { answerOf } from '#gateway/errors.ts'
import { type Context, type ObjectOutcome, operation, type S3Request } from '#gateway/operations/operation.ts'
import { decodeDigests } from '#gateway/wire/checksums.ts'
import { dateArgument } from '#gateway/wire/conditions.ts'
import { unquoteEtag } from '#gateway/wire/etag.ts'
import { all, listLimits, optionalBoolean, optionalText, parseXml, text, type XmlNode } from '#gateway/xml/parse.ts'
import { el, type Xml } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import type { Conditions } from '#src/model/conditions.ts'
import { checkKey } from '#src/model/names.ts'
import type { Deleted } from '#src/service/services.ts'
import { ownerOf } from './attributes.ts'
import { bothGuards } from './target.ts'
import { collectVerified } from './verified-body.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html */
const keysMax = 1000

/** Each waits for the same few commits, so many at once cost hardly more than one; but other requests want their turn. */
const atOnce = 32

interface Item {
  readonly key: string
  readonly versionId?: string
  readonly conditions: Conditions
}

type Outcome = { readonly item: Item } & ({ readonly deleted: Deleted } | { readonly fault: Fault })

export const deleteObjects = operation({
  name: 'DeleteObjects',
  match: { method: 'POST', scope: 'bucket', keys: ['delete'] },
  action: 'each',
  decode: decodeDelete,

  async run({ items, isQuiet }, context) {
    // A bucket that is not there is said once, not a thousand times.
    await context.services.buckets.get(context.request.bucket)
    const bypass = context.request.headers['x-amz-bypass-governance-retention']?.toLowerCase() === 'true'
    const outcomes: Outcome[] = []
    for (let at = 0; at < items.length; at += atOnce) {
      const batch = items.slice(at, at + atOnce)
      outcomes.push(...(await Promise.all(batch.map((item) => deleteItem(item, bypass, context)))))
    }
    return { outcomes, isQuiet }
  },

  encode: ({ outcomes, isQuiet }) => ({
    status: 200,
    body: el('DeleteResult', ...outcomes.map((outcome) => outcomeElement(outcome, isQuiet))),
    each: outcomes.map(outcomeOf),
  }),
})

async function decodeDelete(request: S3Request): Promise<{ items: readonly Item[]; isQuiet: boolean }> {
  const { headers, body } = request
  const digests = decodeDigests(headers, body)
  if (digests.md5 === undefined && digests.checksum === undefined) {
    throw new Fault('InvalidRequest', { message: 'Missing required header for this request: Content-MD5' })
  }
  const document = parseXml(await collectVerified(body, digests, listLimits.bytesMax), 'Delete', listLimits)
  const objects = all(document, 'Object')
  if (objects.length === 0 || objects.length > keysMax) throw new Fault('MalformedXML')
  return { items: objects.map(decodeItem), isQuiet: optionalBoolean(document, 'Quiet') ?? false }
}

function decodeItem(node: XmlNode): Item {
  const versionId = optionalText(node, 'VersionId')
  const etag = optionalText(node, 'ETag')
  const modified = optionalText(node, 'LastModifiedTime')
  const size = optionalText(node, 'Size')
  if (size !== undefined && !/^\d{1,15}$/.test(size)) throw new Fault('MalformedXML')
  const conditions: Conditions = {
    ...(etag !== undefined && { ifMatch: [unquoteEtag(etag)] }),
    ...(modified !== undefined && { ifMatchModified: dateArgument('LastModifiedTime', modified) }),
    ...(size !== undefined && { ifMatchSize: Number(size) }),
  }
  const key = text(node, 'Key')
  // An empty version id means the current version: some clients send the element for every key.
  return { key, conditions, ...(versionId !== undefined && versionId !== '' && { versionId }) }
}

async function deleteItem(item: Item, bypassGovernance: boolean, context: Context): Promise<Outcome> {
  const { caller, request, services } = context
  try {
    if (item.key === '') throw new Fault('UserKeyMustBeSpecified')
    checkKey(item.key)
    const { key, versionId, conditions } = item
    const target = { name: { bucket: request.bucket, key }, ...(versionId !== undefined && { versionId }) }
    const guard = await guardOf(item, bypassGovernance, context)
    const deleted = await services.objects.delete({
      ...target,
      conditions,
      bypassGovernance,
      guard,
      caller: ownerOf(caller),
      isOfMany: true,
      cause: request,
    })
    return { item, deleted }
  } catch (error) {
    if (error instanceof Fault) return { item, fault: error }
    throw error
  }
}

/** Every key is asked for on its own: what the bucket allows in general says nothing of this one (T4). */
async function guardOf({ key, versionId }: Item, bypass: boolean, { authorize, request }: Context) {
  const resource = { bucket: request.bucket, key, ...(versionId !== undefined && { versionId }) }
  const guard = await authorize(versionId === undefined ? 's3:DeleteObject' : 's3:DeleteObjectVersion', resource)
  return bypass ? bothGuards(guard, await authorize('s3:BypassGovernanceRetention', resource)) : guard
}

function outcomeOf(outcome: Outcome): ObjectOutcome {
  const { key } = outcome.item
  if ('fault' in outcome) {
    const { code } = outcome.fault
    return { key, status: answerOf(code).status, errorCode: code }
  }
  const versionId = outcome.item.versionId ?? outcome.deleted.versionId
  return { key, status: 204, ...(versionId !== undefined && { versionId }) }
}

function outcomeElement(outcome: Outcome, isQuiet: boolean): Xml | undefined {
  const { key, versionId } = outcome.item
  const version = versionId === undefined ? undefined : el('VersionId', versionId)
  if ('fault' in outcome) {
    const { code, details } = outcome.fault
    const message = details['message'] ?? answerOf(code).message
    return el('Error', el('Key', key), version, el('Code', code), el('Message', message))
  }
  if (isQuiet) return undefined
  const { isMarker, versionId: markerId } = outcome.deleted
  const marker = isMarker ? [el('DeleteMarker', true), el('DeleteMarkerVersionId', markerId)] : []
  return el('Deleted', el('Key', key), version, ...marker)
}
