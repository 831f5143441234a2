import assert from 'node:assert/strict'
import type { BlobRecord } from '#src/metadata/blob-codec.ts'
import { copyIn, readBlob, readManifest } from '#src/metadata/blob-records.ts'
import type { BlobId } from '#src/model/blob.ts'
import type { Member, Membership } from '#src/model/region.ts'
import type { ObjectVersion } from '#src/model/version.ts'
import { bucket, type FedRegion, guard } from './fed-regions.ts'

export const find = ({ objects }: FedRegion, key: string): Promise<ObjectVersion | undefined> =>
  objects.find({ name: { bucket, key }, guard }).then(
    ({ version }) => version,
    () => undefined,
  )

export const recordOf = (
  { foundation }: Pick<FedRegion, 'foundation'>,
  blob: BlobId,
): Promise<BlobRecord | undefined> =>
  foundation.store.snapshot(async (snapshot) => {
    const record = await readBlob(snapshot, blob)
    return record?.kind === 'bytes' ? record : undefined
  })

export async function blobsOf(region: FedRegion, key: string): Promise<readonly BlobId[]> {
  const content = (await find(region, key))?.content
  if (content?.kind === 'blob') return [content.blob]
  assert.ok(content?.kind === 'manifest', `${key} in ${region.member.region} is ${content?.kind}`)
  return (await region.foundation.store.snapshot((from) => readManifest(from, content.blob))).map(({ blob }) => blob)
}

/** The regions that hold all of it, of those that have heard of it. */
export async function holding(regions: readonly FedRegion[], key: string): Promise<string> {
  const found: string[] = []
  for (const region of regions) {
    if ((await find(region, key)) === undefined) continue
    const records = await Promise.all((await blobsOf(region, key)).map((blob) => recordOf(region, blob)))
    const { region: code } = region.member
    const held = records.filter((record) => record !== undefined && copyIn(record, code) !== undefined)
    assert.ok(held.length === 0 || held.length === records.length || key === 'parts', 'all of it, or nothing')
    if (held.length === records.length) found.push(code)
  }
  return found.join()
}

/** All know it at once. */
export function change(cluster: { membership: Membership }, cell: number, state: Member['state']): void {
  const { membership } = cluster
  const members = membership.members.map((each) => (each.cell === cell ? { ...each, state } : each))
  cluster.membership = { ...membership, epoch: membership.epoch + 1, members }
}
