import type { Copies } from '#src/cluster/copies.ts'
import { fetchBlob } from '#src/metadata/outbox.ts'
import type { JobKind } from './job.ts'

/** Makes a blob of another region durable here too. */
export const fetchBlobJob = (copies: Pick<Copies, 'place'>): JobKind => ({
  name: fetchBlob,
  urgency: 500,
  attempts: 12,
  // The copy is named in a transaction of its own, which a repeat finds: the job may end after it (I10).
  run: async ({ payload: { blob } }) => await copies.place(String(blob)),
})
