import { type Context, operation } from '#gateway/operations/operation.ts'
import { decodeDigests } from '#gateway/wire/checksums.ts'
import { formatIsoDate, parseIsoDate } from '#gateway/wire/http-date.ts'
import { optionalText, parseXml } from '#gateway/xml/parse.ts'
import { el } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import { checkRetentionChange } from '#src/model/retention.ts'
import type { Retention } from '#src/model/version.ts'
import { bypassOf, targetOf } from './target.ts'
import { collectVerified } from './verified-body.ts'

const documentBytesMax = 16 * 1024

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectRetention.html */
export const getObjectRetention = operation({
  name: 'GetObjectRetention',
  match: { method: 'GET', scope: 'object', keys: ['retention'] },
  action: 's3:GetObjectRetention',
  decode: targetOf,

  async run(target, context) {
    await checkHasLock(context)
    const { version } = await context.services.objects.find({ ...target, guard: context.guard })
    if (version.retention?.value === undefined) throw new Fault('NoSuchObjectLockConfiguration')
    return version.retention.value
  },

  encode: ({ mode, until }) => ({
    status: 200,
    body: el('Retention', el('Mode', mode), el('RetainUntilDate', formatIsoDate(until))),
  }),
})

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectRetention.html */
export const putObjectRetention = operation({
  name: 'PutObjectRetention',
  match: { method: 'PUT', scope: 'object', keys: ['retention'] },
  action: 's3:PutObjectRetention',

  async decode(request) {
    const { headers, body } = request
    const bytes = await collectVerified(body, decodeDigests(headers, body), documentBytesMax)
    return { target: targetOf(request), retention: decodeRetention(bytes) }
  },

  async run({ target, retention }, context) {
    await checkHasLock(context)
    const { bypassGovernance, guard } = await bypassOf(context)
    return await context.services.objects.update({
      ...target,
      guard,
      change(version, now) {
        checkRetentionChange(version.retention?.value, retention, { bypassGovernance, now })
        return { retention }
      },
    })
  },

  encode: () => ({ status: 200 }),
})

/** Undefined: the empty document, which takes the retention away. */
function decodeRetention(bytes: Uint8Array): Retention | undefined {
  const document = parseXml(bytes, 'Retention')
  const mode = optionalText(document, 'Mode')
  const text = optionalText(document, 'RetainUntilDate')
  if (mode === undefined && text === undefined) return undefined
  const until = text === undefined ? undefined : parseIsoDate(text)
  if ((mode !== 'GOVERNANCE' && mode !== 'COMPLIANCE') || until === undefined) throw new Fault('MalformedXML')
  return { mode, until }
}

export async function checkHasLock({ services, request }: Context): Promise<void> {
  const { hasObjectLock } = await services.buckets.get(request.bucket)
  if (!hasObjectLock) throw new Fault('InvalidRequest', { message: 'Bucket is missing Object Lock Configuration' })
}
