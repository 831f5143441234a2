import { operation } from '#gateway/operations/operation.ts'
import { decodeDigests } from '#gateway/wire/checksums.ts'
import { parseXml, text } from '#gateway/xml/parse.ts'
import { el } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import { checkHasLock } from './object-retention.ts'
import { targetOf } from './target.ts'
import { collectVerified } from './verified-body.ts'

const documentBytesMax = 16 * 1024

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectLegalHold.html */
export const getObjectLegalHold = operation({
  name: 'GetObjectLegalHold',
  match: { method: 'GET', scope: 'object', keys: ['legal-hold'] },
  action: 's3:GetObjectLegalHold',
  decode: targetOf,

  async run(target, context) {
    await checkHasLock(context)
    const { version } = await context.services.objects.find({ ...target, guard: context.guard })
    if (version.hold === undefined) throw new Fault('NoSuchObjectLockConfiguration')
    return version.hold.value
  },

  encode: (hold) => ({ status: 200, body: el('LegalHold', el('Status', hold ? 'ON' : 'OFF')) }),
})

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectLegalHold.html */
export const putObjectLegalHold = operation({
  name: 'PutObjectLegalHold',
  match: { method: 'PUT', scope: 'object', keys: ['legal-hold'] },
  action: 's3:PutObjectLegalHold',

  async decode(request) {
    const { headers, body } = request
    const bytes = await collectVerified(body, decodeDigests(headers, body), documentBytesMax)
    const status = text(parseXml(bytes, 'LegalHold'), 'Status')
    if (status !== 'ON' && status !== 'OFF') throw new Fault('MalformedXML')
    return { target: targetOf(request), hold: status === 'ON' }
  },

  async run({ target, hold }, context) {
    await checkHasLock(context)
    const { services, guard } = context
    return await services.objects.update({ ...target, guard, change: () => ({ hold }) })
  },

  encode: () => ({ status: 200 }),
})
