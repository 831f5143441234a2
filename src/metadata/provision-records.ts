import type { SealedSecret } from '#src/model/encryption.ts'
import type { Provisioned } from '#src/model/provision.ts'
import type { Snapshot, Transaction } from '#src/store/store.ts'
import { decodeRow, decodeText, encodeRow, encodeText } from './namespace-codec.ts'
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

/** Adds it, or changes what may change of it: its options. The index of domains goes with them. */
export function putProvisioned(to: Transaction, provisioned: Provisioned, before?: Provisioned): void {
  const { id, externalId, organization, bucket, options } = provisioned
  const where: Where = { organization, bucket }
  to.set(rowKeys.provisioned(organization, bucket), encodeRow(provisioned))
  to.set(rowKeys.provisionedId('own', id), encodeRow(where))
  if (externalId !== undefined) to.set(rowKeys.provisionedId('external', externalId), encodeRow(where))
  const domain = before?.options.domain
  if (domain !== undefined && domain !== options.domain) to.clear(rowKeys.domain(domain))
  if (options.domain !== undefined) to.set(rowKeys.domain(options.domain), encodeText(bucket))
}

export function removeProvisioned(
  to: Transaction,
  { id, externalId, organization, bucket, options }: Provisioned,
): void {
  to.clear(rowKeys.provisioned(organization, bucket))
  to.clear(rowKeys.provisionedId('own', id))
  if (externalId !== undefined) to.clear(rowKeys.provisionedId('external', externalId))
  if (options.domain !== undefined) to.clear(rowKeys.domain(options.domain))
}

/** The bucket that a host name belongs to. */
export async function bucketOfDomain(from: Snapshot, host: string): Promise<string | undefined> {
  const bytes = isAskable(host) ? await from.get(rowKeys.domain(host)) : undefined
  return bytes === undefined ? undefined : decodeText(bytes)
}

/** A secret that all nodes of the store share. */
export async function readSharedSecret(from: Snapshot, name: string): Promise<SealedSecret | undefined> {
  const bytes = await from.get(rowKeys.sharedSecret(name))
  return bytes === undefined ? undefined : decodeRow<SealedSecret>(bytes)
}

export function setSharedSecret(to: Transaction, name: string, secret: SealedSecret): void {
  to.set(rowKeys.sharedSecret(name), encodeRow(secret))
}
