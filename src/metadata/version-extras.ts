import assert from 'node:assert/strict'
import { replicationStatuses } from '#src/model/replication-status.ts'
import type { RemoteCopy, Restore } from '#src/model/tier.ts'
import type { ObjectVersion } from '#src/model/version.ts'
import type { RecordReader, RecordWriter } from './codec.ts'
import { readEncryption, writeEncryption } from './encryption-codec.ts'

/** What few versions say of themselves: a byte that tells which of these follow, in this order. */
const extra = { encryption: 1, remote: 2, restore: 4, replication: 8, moved: 16, regions: 32 } as const

type Extras = Pick<ObjectVersion, 'encryption' | 'remote' | 'restore' | 'replication' | 'moved' | 'regions'>

/** Whether there is anything that older formats have no place for. */
export const hasExtras = ({ remote, restore, replication, moved, regions }: Extras): boolean =>
  remote !== undefined ||
  restore !== undefined ||
  replication !== undefined ||
  moved !== undefined ||
  regions !== undefined

export function writeExtras(to: RecordWriter, extras: Extras): void {
  const { encryption, remote, restore, replication, moved, regions } = extras
  let present = encryption === undefined ? 0 : extra.encryption
  if (remote !== undefined) present |= extra.remote
  if (restore !== undefined) present |= extra.restore
  if (replication !== undefined) present |= extra.replication
  if (moved !== undefined) present |= extra.moved
  if (regions !== undefined) present |= extra.regions
  to.byte(present)
  if (encryption !== undefined) writeEncryption(to, encryption)
  if (remote !== undefined) {
    const { tier, bucket, key, sha256, sealedAs } = remote
    to.text(tier)
      .text(bucket)
      .text(key)
      .text(sha256)
      .text(sealedAs ?? '')
  }
  if (restore !== undefined) writeRestore(to, restore)
  if (replication !== undefined) to.byte(replicationStatuses.indexOf(replication))
  if (moved !== undefined) to.stamp(moved)
  if (regions !== undefined) to.text(regions.join(','))
}

function writeRestore(to: RecordWriter, restore: Restore): void {
  if (restore.kind === 'done') to.byte(1).integer(restore.until)
  // Days are at least one.
  else to.byte(0).integer(restore.days ?? 0)
}

export function readExtras(from: RecordReader): Extras {
  const present = from.byte()
  const has = (name: keyof typeof extra): boolean => (present & extra[name]) !== 0
  return {
    ...(has('encryption') && { encryption: readEncryption(from) }),
    ...(has('remote') && { remote: readRemote(from) }),
    ...(has('restore') && { restore: readRestore(from) }),
    ...(has('replication') && { replication: readReplication(from) }),
    ...(has('moved') && { moved: from.stamp() }),
    ...(has('regions') && { regions: from.text().split(',') }),
  }
}

function readRemote(from: RecordReader): RemoteCopy {
  const remote = { tier: from.text(), bucket: from.text(), key: from.text(), sha256: from.text() }
  const sealedAs = from.text()
  return sealedAs === '' ? remote : { ...remote, sealedAs }
}

function readRestore(from: RecordReader): Restore {
  const isDone = from.byte() === 1
  const number = from.integer()
  if (isDone) return { kind: 'done', until: number }
  return number === 0 ? { kind: 'ongoing' } : { kind: 'ongoing', days: number }
}

function readReplication(from: RecordReader): NonNullable<Extras['replication']> {
  const status = replicationStatuses[from.byte()]
  assert.ok(status !== undefined, 'a replication status of a record')
  return status
}
