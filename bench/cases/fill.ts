import { DataDirectory } from '#src/data-directory.ts'
import { setWithEntry } from '#src/metadata/feed.ts'
import { keys as rows } from '#src/metadata/keyspace.ts'
import { Namespace } from '#src/metadata/namespace.ts'
import { encodeVersion, entryOffset } from '#src/metadata/version-codec.ts'
import { openLmdbStore } from '#src/store/lmdb/open.ts'
import { realWorld } from '#src/world.ts'

const perTransaction = 2000

/** Puts records of empty objects straight into the metadata: through the gateway, a million would take minutes. */
export async function fillBucket(data: string, name: string, count: number, perPrefix: number): Promise<void> {
  const store = await openLmdbStore({ path: new DataDirectory(data).metadata, world: realWorld })
  const namespace = new Namespace()
  const bucket = await store.snapshot((snapshot) => namespace.existingBucket(snapshot, name))
  const { owner } = bucket
  const grantee = { kind: 'account', id: owner, displayName: '' } as const
  for (let first = 0; first < count; first += perTransaction) {
    await store.transact(async (transaction) => {
      for (let index = first; index < Math.min(count, first + perTransaction); index++) {
        const key = `prefix-${String(Math.floor(index / perPrefix)).padStart(6, '0')}/key-${String(index).padStart(9, '0')}`
        const stamp = BigInt(realWorld.now()) * 1_000_000n + BigInt(index)
        const record = encodeVersion({
          kind: 'object',
          stamp,
          isNull: true,
          modified: realWorld.now(),
          owner,
          vector: [[0, stamp]],
          size: 0,
          etag: 'd41d8cd98f00b204e9800998ecf8427e',
          content: { kind: 'inline' },
          storageClass: 'STANDARD',
          headers: {},
          metadata: new Map(),
          acl: { stamp, value: { owner, grants: [{ grantee, permission: 'FULL_CONTROL' }] } },
        })
        setWithEntry(transaction, rows.current(bucket.id, key), record, 0, entryOffset)
      }
    })
  }
  await store.close()
}
