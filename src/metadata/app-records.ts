import { Fault } from '#src/errors.ts'
import type { AddOn, App } from '#src/model/app.ts'
import { limits, type Snapshot, type Transaction } from '#src/store/store.ts'
import { decodeRow, encodeRow } from './namespace-codec.ts'
import { rowKeys, rowRanges } from './namespace-keys.ts'
import { isAskable, lastOf, readAll } from './row-reading.ts'

const nothing = new Uint8Array(0)

export async function readApp(from: Snapshot, name: string): Promise<App | undefined> {
  const bytes = isAskable(name) ? await from.get(rowKeys.app(name)) : undefined
  return bytes === undefined ? undefined : decodeRow<App>(bytes)
}

export async function readAppsOf(from: Snapshot, organization: string): Promise<readonly App[]> {
  const entries = await readAll(from, rowRanges.appsOf(organization))
  const found = await Promise.all(entries.map(({ key }) => readApp(from, lastOf(key, 2))))
  return found.filter((each) => each !== undefined)
}

/** Fault `LimitExceeded` where its secrets are too large together. */
export function putApp(to: Transaction, app: App): void {
  const row = encodeRow(app)
  if (row.length > limits.valueBytes) {
    throw new Fault('LimitExceeded', { message: 'The secrets of the app are too large together.' })
  }
  to.set(rowKeys.app(app.name), row)
  to.set(rowKeys.ownedApp(app.organization, app.name), nothing)
}

export function removeApp(to: Transaction, { name, organization }: App): void {
  to.clear(rowKeys.app(name))
  to.clear(rowKeys.ownedApp(organization, name))
}

export async function readAddOn(from: Snapshot, name: string): Promise<AddOn | undefined> {
  const bytes = isAskable(name) ? await from.get(rowKeys.addOn(name)) : undefined
  return bytes === undefined ? undefined : decodeRow<AddOn>(bytes)
}

export async function readAddOnsOf(
  from: Snapshot,
  ...[kind, id]: Parameters<typeof rowRanges.addOnsOf>
): Promise<readonly AddOn[]> {
  const entries = await readAll(from, rowRanges.addOnsOf(kind, id))
  const found = await Promise.all(entries.map(({ key }) => readAddOn(from, lastOf(key, 3))))
  return found.filter((each) => each !== undefined)
}

export function putAddOn(to: Transaction, addOn: AddOn): void {
  const { name, organization, app } = addOn
  to.set(rowKeys.addOn(name), encodeRow(addOn))
  to.set(rowKeys.ownedAddOn('organization', organization, name), nothing)
  if (app !== undefined) to.set(rowKeys.ownedAddOn('app', app, name), nothing)
}

export function removeAddOn(to: Transaction, { name, organization, app }: AddOn): void {
  to.clear(rowKeys.addOn(name))
  to.clear(rowKeys.ownedAddOn('organization', organization, name))
  if (app !== undefined) to.clear(rowKeys.ownedAddOn('app', app, name))
}
