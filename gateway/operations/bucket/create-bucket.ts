import { collectVerified } from '#gateway/operations/object/verified-body.ts'
import { operation, type S3Request } from '#gateway/operations/operation.ts'
import { type BucketPatch, patchOfHeaders } from '#gateway/wire/bucket-settings.ts'
import { decodeDigests } from '#gateway/wire/checksums.ts'
import { readTagSet } from '#gateway/wire/tagging-document.ts'
import { optionalChild, optionalText, parseXml, settingsLimits } from '#gateway/xml/parse.ts'
import { Fault } from '#src/errors.ts'
import { aclWish } from '#src/model/acl.ts'
import { type Ownership, parseOwnership } from '#src/model/bucket.ts'
import { checkBucketName } from '#src/model/names.ts'
import { bucketTagsMax } from '#src/model/tags.ts'
import type { Tags } from '#src/model/version.ts'
import { Acls } from '#src/service/acls.ts'
import { type PlacedBucket, type Regions, several } from '#src/service/regions.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html */
export const createBucket = operation({
  name: 'CreateBucket',
  match: { method: 'PUT', scope: 'bucket' },
  action: 's3:CreateBucket',

  async decode(request) {
    checkBucketName(request.bucket)
    const { headers } = request
    return {
      ...(await decodeConfiguration(request)),
      placing: patchOfHeaders(headers),
      wish: aclWish((name) => headers[name]),
      ownership: ownershipHeader(headers['x-amz-object-ownership']),
      hasObjectLock: lockHeader(headers['x-amz-bucket-object-lock-enabled']),
    }
  },

  async run(input, { services, caller, request, authorize }) {
    const { tags, wish, ownership, hasObjectLock, placing: { durability } = {} } = input
    if (caller.kind === 'anonymous') throw new Fault('AccessDenied')
    // https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html: who sets these later needs these permissions.
    const more = [
      wish === undefined ? [] : ['s3:PutBucketAcl'],
      ownership === undefined ? [] : ['s3:PutBucketOwnershipControls'],
      hasObjectLock ? ['s3:PutBucketObjectLockConfiguration', 's3:PutBucketVersioning'] : [],
      durability === undefined ? [] : ['s3:PutBucketInformation'],
    ].flat()
    for (const action of more) await authorize(action, { bucket: request.bucket, isNew: true })
    const { regions } = services
    const placed = placedIn(regions, request.bucket, input)
    const home = regions?.homeOfNew(placed.location, request.forwardedBy)
    const acl = await new Acls(services.identity).ofNewBucket(caller.account, ownership, wish)
    return await services.buckets.create({
      ...placed,
      owner: caller.account.id,
      acl,
      hasObjectLock,
      ...(home !== undefined && { home }),
      ...(ownership !== undefined && { ownership }),
      ...(tags !== undefined && tags.size > 0 && { tags }),
    })
  },

  encode: ({ name }) => ({ status: 200, headers: { location: `/${name}` } }),
})

/** By what the headers say, which come before the document; in how many regions its writes are is of that place. */
function placedIn(
  regions: Regions | undefined,
  name: string,
  { location: constraint, placing = {} }: { readonly location: string; readonly placing: BucketPatch | undefined },
): PlacedBucket {
  const { regions: chosen, durability } = placing
  const location =
    regions !== undefined && chosen !== undefined
      ? regions.chosen(chosen)
      : (regions?.constrained(constraint) ?? constraint)
  const placed = { name, location }
  return durability === undefined ? placed : several(regions).durable(placed, durability)
}

async function decodeConfiguration({ headers, body }: S3Request): Promise<{ location: string; tags?: Tags }> {
  const bytes = await collectVerified(body, decodeDigests(headers, body), settingsLimits.bytesMax)
  if (bytes.length === 0) return { location: '' }
  // An early SDK called it so, and AWS still takes it.
  const document = parseXml(bytes, ['CreateBucketConfiguration', 'CreateBucketConstraint'])
  // Both are of directory buckets, which are another kind of thing.
  if (document.children.has('Bucket') || document.children.has('Location')) throw new Fault('NotImplemented')
  const location = optionalText(document, 'LocationConstraint')?.trim() ?? ''
  const tags = optionalChild(document, 'Tags')
  return { location: checkLocation(location), ...(tags !== undefined && { tags: readTagSet(tags, bucketTagsMax) }) }
}

/** Regions, geographies, or several regions with commas between; which of them there are is not this node's to know. */
const locationName = /^[A-Za-z0-9]+([-,][A-Za-z0-9]+)*$/

function checkLocation(location: string): string {
  if (location === '' || (location.length <= 255 && locationName.test(location))) return location
  throw new Fault('InvalidLocationConstraint', { LocationConstraint: location })
}

function ownershipHeader(text: string | undefined): Ownership | undefined {
  if (text === undefined) return undefined
  const ownership = parseOwnership(text)
  if (ownership !== undefined) return ownership
  throw new Fault('InvalidArgument', {
    message: 'Invalid x-amz-object-ownership header',
    ArgumentName: 'x-amz-object-ownership',
    ArgumentValue: text,
  })
}

function lockHeader(text: string | undefined): boolean {
  const value = text?.toLowerCase() ?? 'false'
  if (value === 'true' || value === 'false') return value === 'true'
  throw new Fault('InvalidArgument', {
    ArgumentName: 'x-amz-bucket-object-lock-enabled',
    ArgumentValue: text ?? '',
  })
}
