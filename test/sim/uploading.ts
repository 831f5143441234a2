import { Fault } from '#src/errors.ts'
import type { Restriction } from '#src/model/blob.ts'
import { multipartEtag } from '#src/model/digests.ts'
import type { ObjectName } from '#src/model/names.ts'
import type { ObjectVersion, Part } from '#src/model/version.ts'
import type { Uploads } from '#src/service/services.ts'
import { Violation } from './births.ts'
import type { Chance } from './chance.ts'
import { attributes, bodyOf, guard, md5Of, owner } from './content.ts'
import type { Ledger } from './ledger.ts'

export interface Uploading {
  readonly uploads: Uploads
  readonly chance: Chance
  readonly ledger: Ledger
  readonly draft: () => Uint8Array
  /** Told of the version that came of it. */
  readonly completed: (version: ObjectVersion) => void
}

/**
 * A whole upload, as a client does it: some parts are sent twice, some are not named in the end, some uploads are given up, and
 * some are completed twice, as by a client that did not hear the answer.
 */
export async function upload(
  { uploads, chance, ledger, draft, completed }: Uploading,
  name: ObjectName,
  restricted: { readonly restriction?: Restriction },
): Promise<void> {
  const { id: uploadId } = await uploads.create({ name, attributes, initiator: owner, ...restricted })
  const sent = new Map<number, { readonly part: Part; readonly bytes: Uint8Array }>()
  const count = chance.pick([1, 2, 3, 5])
  for (let number = 1; number <= count; number++) {
    for (let times = chance.happens(0.2) ? 2 : 1; times > 0; times--) {
      const bytes = draft()
      const part = await uploads.putPart({ name, uploadId, number, body: bodyOf(bytes), digests: {} })
      sent.set(number, { part, bytes })
    }
  }
  if (chance.happens(0.15)) {
    await uploads.abort({ name, uploadId })
    return
  }
  const named = [...sent.values()].filter((_, index) => index === 0 || !chance.happens(0.15))
  const parts = named.map(({ part: { number, etag } }) => ({ number, etag }))
  const whole = Buffer.concat(named.map(({ bytes }) => bytes))
  ledger.bodies.set(multipartEtag(parts.map(({ etag }) => etag)), whole)
  // A copy that is to be in other regions is written again, in one piece.
  ledger.bodies.set(md5Of(whole), whole)
  const complete = () => uploads.complete({ name, uploadId, parts, conditions: {}, guard })
  const { version } = await complete()
  completed(version)
  if (!chance.happens(0.2)) return
  const again = await complete().catch((error: unknown) => {
    if (!(error instanceof Fault) || error.code !== 'NoSuchUpload') throw error
    throw new Violation(`an upload of ${name.key} that was completed is forgotten`)
  })
  ledger.checkSame(again.version.stamp, version.stamp, 'an upload completed twice')
}
