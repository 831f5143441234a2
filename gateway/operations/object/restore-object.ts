import { operation, type S3Request } from '#gateway/operations/operation.ts'
import { decodeDigests } from '#gateway/wire/checksums.ts'
import { optionalChild, optionalInteger, optionalText, parseXml } from '#gateway/xml/parse.ts'
import { Fault } from '#src/errors.ts'
import { targetOf } from './target.ts'
import { collectVerified } from './verified-body.ts'

const documentBytesMax = 64 * 1024
/** As lifecycle rules have it. */
const daysMost = 2 ** 31 - 1

/**
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html; without days, for good, as Ceph has it
 * (https://docs.ceph.com/en/latest/radosgw/cloud-restore/).
 */
export const restoreObject = operation({
  name: 'RestoreObject',
  match: { method: 'POST', scope: 'object', keys: ['restore'] },
  action: 's3:RestoreObject',

  async decode(request) {
    const days = await decodeDays(request)
    return { ...targetOf(request), ...(days !== undefined && { days }) }
  },

  run: (target, { services, guard, request }) => services.objects.restore({ ...target, guard, cause: request }),
  encode: ({ isHere }) => ({ status: isHere ? 200 : 202 }),
})

async function decodeDays({ headers, body }: S3Request): Promise<number | undefined> {
  const bytes = await collectVerified(body, decodeDigests(headers, body), documentBytesMax)
  if (bytes.length === 0) throw new Fault('MissingRequestBodyError')
  const document = parseXml(bytes, 'RestoreRequest')
  if (optionalText(document, 'Type') !== undefined || optionalChild(document, 'SelectParameters') !== undefined) {
    throw new Fault('NotImplemented', {
      message: 'A restoration by a query is not implemented: use SelectObjectContent.',
    })
  }
  return optionalInteger(document, 'Days', 1, daysMost)
}
