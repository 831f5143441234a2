/**
 * Uploads from web pages: a form that says in its fields what headers say elsewhere, and who made it.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
 *
 * O1  the form's maker is authorized for the key that the form names, by the one who authorizes all requests.
 */
import assert from 'node:assert/strict'
import type {
  Context,
  FormAuthority,
  Operation,
  RequestBody,
  S3Request,
  S3Response,
} from '#gateway/operations/operation.ts'
import { decodeDigests } from '#gateway/wire/checksums.ts'
import { quoteEtag } from '#gateway/wire/etag.ts'
import { type Form, fieldBytesMax, formBoundary, readForm } from '#gateway/wire/form.ts'
import { formHeaders } from '#gateway/wire/form-headers.ts'
import { el, renderPlain } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import { anonymous } from '#src/model/identity.ts'
import { checkKey } from '#src/model/names.ts'
import type { Written } from '#src/service/services.ts'
import { decodeAttributes, resolveNewObject } from './attributes.ts'
import { bodyBytesMax } from './body-length.ts'
import { writtenHeaders } from './put-object.ts'
import { nameOf } from './target.ts'

export const postObject: Operation = {
  name: 'PostObject',
  match: { method: 'POST', scope: 'bucket' },
  site: 'cells',
  action: () => 's3:PutObject',

  async handle(request, authorized) {
    const boundary = formBoundary(request.headers['content-type'])
    if (boundary === undefined) {
      throw new Fault('PreconditionFailed', {
        Condition: 'Bucket POST must be of the enclosure-type multipart/form-data',
      })
    }
    const form = await readForm(boundary, request.body)
    try {
      const fields = named(form)
      const authority = await authorityOf(request, fields)
      const put = putOf(request, fields, fileBody(form, authority), authority)
      const context = await authorized(put)
      assert.equal(context.request, put, 'a form is authorized as the request that it makes (O1)')
      const written = await write(context)
      return answer(written, put, fields)
    } finally {
      await form.close()
    }
  },
}

/** Fields that sign, or are signed as they are. */
const literal = new Set(['policy', 'signature', 'awsaccesskeyid', 'x-amz-credential', 'x-amz-signature'])

// biome-ignore lint/suspicious/noTemplateCurlyInString: S3's own mark
const fileNameMark = '${filename}'

/** The fields with the file's name put where they ask for it. */
function named({ fields, fileName }: Form): ReadonlyMap<string, string> {
  const filled = new Map<string, string>()
  for (const [name, value] of fields) {
    const isAsked = !literal.has(name) && value.includes(fileNameMark)
    const text = isAsked ? value.split(fileNameMark).join(fileName) : value
    if (text.length > fieldBytesMax) throw new Fault('MaxPostPreDataLengthExceededError')
    filled.set(name, text)
  }
  return filled
}

/** Who made the form: who signed its policy, or else who signed the request around it. */
async function authorityOf(request: S3Request, fields: ReadonlyMap<string, string>): Promise<FormAuthority> {
  if (request.authenticateForm === undefined) throw new Fault('AccessDenied')
  const authority = await request.authenticateForm({ bucket: request.bucket, fields })
  if (request.caller.kind === 'anonymous') return authority
  if (authority.caller !== anonymous) {
    throw new Fault('InvalidArgument', { message: 'Only one auth mechanism allowed', ArgumentName: 'Authorization' })
  }
  return { ...authority, caller: request.caller }
}

/** The PutObject that the form makes. Nothing of the request's own headers is the object's. */
function putOf(
  request: S3Request,
  fields: ReadonlyMap<string, string>,
  body: RequestBody,
  { caller }: FormAuthority,
): S3Request {
  const key = fields.get('key') ?? ''
  if (key === '') {
    throw new Fault('InvalidArgument', {
      message:
        "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.",
      ArgumentName: 'key',
      ArgumentValue: '',
    })
  }
  checkKey(key)
  const { referer, 'user-agent': agent } = request.headers
  return {
    ...request,
    scope: 'object',
    key,
    caller,
    body,
    headers: { ...formHeaders(fields), ...(referer !== undefined && { referer }), 'user-agent': agent },
  }
}

/** The file as a body, held to the policy's content-length-range and to S3's own limit. */
function fileBody(form: Form, { bytesMin, bytesMax }: FormAuthority): RequestBody {
  const max = Math.min(bytesMax, bodyBytesMax)
  async function* stream(): AsyncIterable<Uint8Array> {
    let size = 0
    for await (const piece of form.file()) {
      size += piece.length
      if (size > max) throw new Fault('EntityTooLarge', { ProposedSize: size, MaxSizeAllowed: max })
      yield piece
    }
    if (size < bytesMin) throw new Fault('EntityTooSmall', { ProposedSize: size, MinSizeAllowed: bytesMin })
  }
  async function pieces(limit: number): Promise<readonly Uint8Array[]> {
    const found: Uint8Array[] = []
    let size = 0
    for await (const piece of stream()) {
      size += piece.length
      if (size > limit) throw new Fault('EntityTooLarge', { ProposedSize: size, MaxSizeAllowed: limit })
      found.push(piece)
    }
    return found
  }
  return {
    length: undefined,
    stream,
    trailers: () => new Map(),
    collect: async (limit) => Buffer.concat(await pieces(limit)),
    pieces,
  }
}

async function write(context: Context): Promise<Written> {
  const { request, services, guard } = context
  const requested = decodeAttributes(request.headers)
  const digests = decodeDigests(request.headers, request.body)
  const created = await resolveNewObject(requested, context)
  return await services.objects.put({
    name: nameOf(request),
    ...created,
    body: request.body,
    digests,
    conditions: {},
    guard,
    cause: request,
    isForm: true,
  })
}

function answer(
  written: Written,
  { bucket, key, host, isSecure, headers: sent }: S3Request,
  fields: ReadonlyMap<string, string>,
): S3Response {
  const etag = quoteEtag(written.version.etag)
  const redirect = redirectTo(fields, { bucket, key, etag })
  if (redirect !== undefined) return { status: 303, headers: { ...writtenHeaders(written, sent), location: redirect } }

  const path = key.split('/').map(encodeURIComponent).join('/')
  const location = `${isSecure ? 'https' : 'http'}://${host}/${bucket}/${path}`
  const headers = { ...writtenHeaders(written, sent), location }
  switch (fields.get('success_action_status')) {
    case '200':
      return { status: 200, headers }
    case '201': {
      const children = [el('Location', location), el('Bucket', bucket), el('Key', key), el('ETag', etag)]
      const body = renderPlain(el('PostResponse', ...children))
      return { status: 201, headers: { ...headers, 'content-type': 'application/xml' }, body }
    }
    default:
      return { status: 204, headers }
  }
}

/** Where the browser is sent; a field that is no URL counts for none, as S3 has it. */
function redirectTo(
  fields: ReadonlyMap<string, string>,
  { bucket, key, etag }: { readonly bucket: string; readonly key: string; readonly etag: string },
): string | undefined {
  const target = fields.get('success_action_redirect') ?? fields.get('redirect')
  // Printable ASCII alone may go into a header as it is.
  if (target === undefined || !/^https?:\/\/[\x21-\x7e]+$/i.test(target) || !URL.canParse(target)) return undefined
  const hash = target.indexOf('#')
  const base = hash < 0 ? target : target.slice(0, hash)
  const query = `bucket=${encodeURIComponent(bucket)}&key=${encodeURIComponent(key)}&etag=${encodeURIComponent(etag)}`
  return `${base}${base.includes('?') ? '&' : '?'}${query}${hash < 0 ? '' : target.slice(hash)}`
}
