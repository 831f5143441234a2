import { operation } from '#gateway/operations/operation.ts'
import { Fault } from '#src/errors.ts'
import { targetOf } from './target.ts'

/**
 * No object has a torrent any more: AWS ended them in 2022.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectTorrent.html
 */
export const getObjectTorrent = operation({
  name: 'GetObjectTorrent',
  match: { method: 'GET', scope: 'object', keys: ['torrent'] },
  action: 's3:GetObjectTorrent',
  decode: targetOf,

  async run(target, { services, guard }): Promise<never> {
    await services.objects.find({ ...target, guard })
    throw new Fault('NoSuchKey', { Key: `${target.name.key}?torrent` })
  },

  encode: () => ({ status: 404 }),
})
