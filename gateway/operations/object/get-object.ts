import { type Context, operation, type S3Request } from '#gateway/operations/operation.ts'
import { readConditions } from '#gateway/wire/conditions.ts'
import { decodeOverrides } from '#gateway/wire/content-headers.ts'
import { decodeReadKey } from '#gateway/wire/encryption-headers.ts'
import { parseEntityTags } from '#gateway/wire/etag.ts'
import { parseHttpDate } from '#gateway/wire/http-date.ts'
import { integerArgument } from '#gateway/wire/integer.ts'
import { encodeRead, type ReadOptions } from '#gateway/wire/object-response.ts'
import { parseRange } from '#gateway/wire/range.ts'
import { Fault } from '#src/errors.ts'
import { type Conditions, checkRead } from '#src/model/conditions.ts'
import type { Objects, Read, Wanted } from '#src/service/services.ts'
import type { Moment } from '#src/world.ts'
import { actionOf, type Target, targetOf } from './target.ts'

/** Of an upload. */
export const partNumberMax = 10_000

interface ReadRequest {
  readonly target: Target & { readonly customerKey?: Uint8Array; readonly since?: Moment | undefined }
  readonly conditions: Conditions
  readonly wanted?: Wanted
  /** If-Range: the wanted piece is sent only where these hold, and all of the object otherwise. */
  readonly wantedIf?: Conditions
  readonly options: Omit<ReadOptions, 'isPartial'>
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html */
export const getObject = operation({
  name: 'GetObject',
  match: { method: 'GET', scope: 'object' },
  action: actionOf('s3:GetObject', 's3:GetObjectVersion'),
  decode: decodeRead,
  run: (input, context) => readObject(input, context, (request) => context.services.objects.get(request)),
  encode({ read, options }, request) {
    const { status, headers } = encodeRead(read, options, request.headers)
    return { status, headers, body: read.bytes }
  },
})

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html */
export const headObject = operation({
  name: 'HeadObject',
  match: { method: 'HEAD', scope: 'object' },
  action: actionOf('s3:GetObject', 's3:GetObjectVersion'),
  decode: decodeRead,
  async run(input, context) {
    const answer = await readObject(input, context, (request) => context.services.objects.head(request))
    // As Tigris has it: whoever asks for a migration key by key looks here again until the object is not elsewhere any more.
    const isScheduled = context.request.headers['x-tigris-schedule-migration'] === 'true'
    if (isScheduled && answer.read.isElsewhere === true) await context.services.shadows.schedule(input.target.name)
    return answer
  },
  encode: ({ read, options }, request) => encodeRead(read, options, request.headers),
})

function decodeRead(request: S3Request): ReadRequest {
  const { headers, query, caller } = request
  const wanted = decodeWanted(request)
  const ifRange = headers['if-range']
  const customerKey = decodeReadKey(headers)
  return {
    target: { ...targetOf(request), since: request.since, ...(customerKey !== undefined && { customerKey }) },
    conditions: readConditions(headers),
    options: {
      overrides: decodeOverrides(query, caller.kind === 'anonymous'),
      wantsChecksum: headers['x-amz-checksum-mode']?.toUpperCase() === 'ENABLED',
    },
    ...(wanted !== undefined && { wanted }),
    ...(ifRange !== undefined && wanted?.kind !== 'part' && { wantedIf: decodeIfRange(ifRange) }),
  }
}

function decodeWanted({ headers, query }: S3Request): Wanted | undefined {
  const range = headers['range'] === undefined ? undefined : parseRange(headers['range'])
  const partNumber = query.get('partNumber')
  if (partNumber === undefined) return range
  if (headers['range'] !== undefined) {
    throw new Fault('InvalidRequest', { message: 'Cannot specify both Range header and partNumber query parameter' })
  }
  return { kind: 'part', number: integerArgument('partNumber', partNumber, 1, partNumberMax) }
}

/** RFC 9110 §13.1.5: one strong tag or a date; anything else never holds. */
function decodeIfRange(text: string): Conditions {
  const date = parseHttpDate(text)
  if (date !== undefined) return { ifUnmodifiedSince: date }
  return { ifMatch: parseEntityTags(text).flatMap((tag) => (tag.isWeak || tag.value === '*' ? [] : [tag.value])) }
}

type ReadWith = (request: Parameters<Objects['get']>[0]) => Promise<Read>

async function readObject(
  { target, conditions, wanted, wantedIf, options }: ReadRequest,
  { guard, services }: Context,
  read: ReadWith,
): Promise<{ readonly read: Read; readonly options: ReadOptions }> {
  const whole = { ...target, guard, conditions }
  const all = async () => ({ read: await read(whole), options: { ...options, isPartial: false } })
  if (wanted === undefined) return await all()
  const partial = { ...options, isPartial: true }
  if (wantedIf === undefined) return { read: await read({ ...whole, wanted }), options: partial }
  // The request's own conditions speak first.
  const { version } = await services.objects.head(whole)
  if (checkRead(wantedIf, version) !== 'passed') return await all()
  try {
    return { read: await read({ ...whole, conditions: { ifMatch: [version.etag] }, wanted }), options: partial }
  } catch (error) {
    // Overwritten in between: what the client has is outdated after all.
    if (error instanceof Fault && error.code === 'PreconditionFailed') return await all()
    throw error
  }
}
