import { readBlob } from '#src/metadata/blob-records.ts'
import type { Foundation } from '#src/service/foundation.ts'
import { decodeBlobId, encodeRegions } from './blob-wire.ts'
import type { Method } from './transport.ts'

/** `holders`: the regions that hold a blob, as its keeper knows them. */
export function holdersMethod({ store }: Foundation): Method {
  return {
    name: 'holders',
    answer: async (request) => {
      const record = await store.snapshot((snapshot) => readBlob(snapshot, decodeBlobId(request)))
      return encodeRegions(record?.kind === 'bytes' ? record.holders.map(({ region }) => region) : [])
    },
  }
}
