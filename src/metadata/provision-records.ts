import type { SealedSecret } from '#src/model/encryption.ts'
import type { Provisioned } from '#src/model/provision.ts'
import type { Snapshot, Transaction } from '#src/store/store.ts'
import { decodeRow, encodeRow } from './namespace-codec.ts'
import { rowKeys, rowRanges } from './namespace-keys.ts'
import { isAskable, readAll } from './row-reading.ts'

interface Where {
  readonly organization: string
  readonly bucket: string
}

/** What was provisioned, row by row, in whatever transaction or snapshot the caller has open. */
export async function readProvisioned(
  from: Snapshot,
  { organization, bucket }: Where,
): Promise<Provisioned | undefined> {
  const bytes = isAskable(bucket) ? await from.get(rowKeys.provisioned(organization, bucket)) : undefined
  return bytes === undefined ? undefined : decodeRow<Provisioned>(bytes)
}

export async function findProvisioned(
  from: Snapshot,
  ...[kind, id]: Parameters<typeof rowKeys.provisionedId>
): Promise<Provisioned | undefined> {
  const bytes = isAskable(id) ? await from.get(rowKeys.provisionedId(kind, id)) : undefined
  const found = bytes === undefined ? undefined : await readProvisioned(from, decodeRow<Where>(bytes))
  // A bucket of that name may have been provisioned anew since.
  return (kind === 'own' ? found?.id : found?.externalId) === id ? found : undefined
}

/** Of one organisation, or all; by organisation and bucket. */
export async function readAllProvisioned(from: Snapshot, organization?: string): Promise<readonly Provisioned[]> {
  return (await readAll(from, rowRanges.provisioned(organization))).map(({ value }) => decodeRow<Provisioned>(value))
}

/** Adds it, or changes what may change of it: its options. */
export function putProvisioned(to: Transaction, provisioned: Provisioned): void {
  const { id, externalId, organization, bucket } = provisioned
  const where: Where = { organization, bucket }
  to.set(rowKeys.provisioned(organization, bucket), encodeRow(provisioned))
  to.set(rowKeys.provisionedId('own', id), encodeRow(where))
  if (externalId !== undefined) to.set(rowKeys.provisionedId('external', externalId), encodeRow(where))
}

export function removeProvisioned(to: Transaction, { id, externalId, organization, bucket }: Provisioned): void {
  to.clear(rowKeys.provisioned(organization, bucket))
  to.clear(rowKeys.provisionedId('own', id))
  if (externalId !== undefined) to.clear(rowKeys.provisionedId('external', externalId))
}

/** A secret that all nodes of the store share. */
export async function readSharedSecret(from: Snapshot, name: string): Promise<SealedSecret | undefined> {
  const bytes = await from.get(rowKeys.sharedSecret(name))
  return bytes === undefined ? undefined : decodeRow<SealedSecret>(bytes)
}

export function setSharedSecret(to: Transaction, name: string, secret: SealedSecret): void {
  to.set(rowKeys.sharedSecret(name), encodeRow(secret))
}
