import { Fault } from '#src/errors.ts'
import { ClusterRecords, readSelf, type Self, setSelf } from '#src/metadata/cluster-records.ts'
import { type Departure, setDeparture } from '#src/metadata/departure-records.ts'
import type { Namespace } from '#src/metadata/namespace.ts'
import { wholeNamespace } from '#src/metadata/namespace-keys.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { changingCells, withoutCell } from '#src/model/move.ts'
import { cellsOf, isKnown, type Member, type Membership, memberIn, memberOf } from '#src/model/region.ts'
import type { Snapshot, Store, Transaction } from '#src/store/store.ts'
import type { World } from '#src/world.ts'
import { decodeMessage, encodeMessage } from './messages.ts'

/** Where a cell is, as its operator says. */
export interface Location {
  readonly region: string
  readonly geography: string
  /** Of its peer API, as an origin. */
  readonly peer: string
}

export interface JoinRequest extends Location {
  readonly incarnation: string
  /** A member that was copied to another store: its incarnation before, which only it and its peers know. */
  readonly was?: string
}

export interface JoinAnswer {
  readonly cell: number
  readonly membership: Membership
}

/** What a store says of itself: which cell it is, and the cells it knows. */
export interface Standing {
  readonly self: Self
  readonly membership: Membership
}

const cellsMost = 1_000

/** Undefined: a single node's store. */
export async function readStanding(store: Store, records: ClusterRecords): Promise<Standing | undefined> {
  return await store.snapshot(async (snapshot) => {
    const [self, membership] = [await readSelf(snapshot), await records.membership(snapshot)]
    return self === undefined || membership === undefined ? undefined : { self, membership }
  })
}

export const newIncarnation = (world: World): string => Buffer.from(world.randomBytes(16)).toString('hex')

/** Makes a single node, with all it has, the first cell of a cluster and its root. */
export async function found(store: Store, world: World, location: Location): Promise<Standing> {
  const records = new ClusterRecords()
  const self: Self = { ...location, cell: 0, incarnation: newIncarnation(world) }
  const membership: Membership = { epoch: 1, root: 0, members: [{ ...self, state: 'active' }] }
  return await store.transact(async (transaction) => {
    if ((await readSelf(transaction)) !== undefined) throw new Error('this cell is in a cluster already')
    setSelf(transaction, self)
    records.setMembership(transaction, membership)
    return { self, membership }
  })
}

const refusal = (message: string): Fault => new Fault('InvalidRequest', { message })

/** Gives a region that joins its number, once, ever (C16). Repeated with the same incarnation, it is told the same. */
export async function admitRegion(store: Store, namespace: Namespace, request: JoinRequest): Promise<JoinAnswer> {
  const records = new ClusterRecords()
  return await store.transact(async (transaction) => {
    const membership = await records.membership(transaction)
    if (membership === undefined) throw refusal('This cell is in no cluster.')
    const again = membership.members.find(({ incarnation }) => incarnation === request.incarnation)
    if (again !== undefined) return { cell: again.cell, membership }
    const before = request.was === undefined ? undefined : memberBefore(membership, request)
    if (before !== undefined) {
      const members = membership.members.map((each) => (each === before ? reborn(each, request) : each))
      const next: Membership = { ...membership, epoch: membership.epoch + 1, members }
      records.setMembership(transaction, next)
      return { cell: before.cell, membership: next }
    }
    const standing = memberIn(membership, request.region)
    // One that joins and asks anew with nothing in its hands was cut off before it wrote its number down.
    const isCutOff = standing?.state === 'joining' && standing.peer === request.peer
    if (standing !== undefined && !isCutOff) {
      throw refusal(`There is a region ${request.region} already: remove it first, if it is lost.`)
    }
    await checkUnused(transaction, namespace, membership, request)
    const cell = Math.max(...membership.members.map((each) => each.cell)) + 1
    if (cell >= cellsMost) throw refusal('All numbers of cells were given.')
    const { region, geography, peer, incarnation } = request
    const member: Member = { region, geography, peer, incarnation, cell, state: 'joining' }
    const others = membership.members.map((each) =>
      each === standing ? ({ ...each, state: 'removed' } as const) : each,
    )
    const next: Membership = { ...membership, epoch: membership.epoch + 1, members: [...others, member] }
    records.setMembership(transaction, next)
    return { cell, membership: next }
  })
}

function memberBefore({ members }: Membership, { was, region }: JoinRequest): Member {
  const before = members.find((each) => each.incarnation === was && each.region === region)
  if (before === undefined || before.state === 'removed') throw refusal(`There is no such member in ${region}.`)
  return before
}

const reborn = (member: Member, { incarnation, peer, geography }: JoinRequest): Member => ({
  ...member,
  ...{ incarnation, peer, geography },
})

/** A cell that was copied to another store, in the root itself: others are told with everything else (C15). */
export async function beReborn(store: Store, self: Self): Promise<void> {
  await changeMember(store, self.cell, (member) => ({ ...member, incarnation: self.incarnation }))
}

/** The root knows the new incarnation. */
export async function forgetBefore(store: Store): Promise<void> {
  await store.transact(async (transaction) => {
    const self = await readSelf(transaction)
    if (self?.was === undefined) return
    const { was: _, ...rest } = self
    setSelf(transaction, rest)
  })
}

/** A location that meant nothing so far would begin to mean this region, and the bucket's objects would be elsewhere. */
async function checkUnused(
  transaction: Transaction,
  namespace: Namespace,
  membership: Membership,
  { region, geography }: JoinRequest,
): Promise<void> {
  const fresh = [region, geography].filter((name) => name !== '' && !isKnown(name, membership))
  if (fresh.length === 0) return
  for (const bucket of await namespace.buckets(transaction)) {
    const named = bucket.location.split(',').find((name) => fresh.includes(name))
    if (named !== undefined) {
      throw refusal(
        `The bucket ${bucket.name} has the location ${named}, which so far is no region: choose another code.`,
      )
    }
  }
}

/** Changes one member, in the root. Throws Fault `InvalidRequest` where it is not there. */
export async function changeMember(
  store: Store,
  cell: number,
  change: (member: Member) => Member,
): Promise<Membership> {
  const records = new ClusterRecords()
  return await store.transact(async (transaction) => {
    const membership = await records.membership(transaction)
    const before = membership?.members.find((each) => each.cell === cell)
    if (membership === undefined || before === undefined) throw refusal(`There is no cell ${cell}.`)
    const after = change(before)
    if (after === before) return membership
    const members = membership.members.map((each) => (each === before ? after : each))
    const next: Membership = { ...membership, epoch: membership.epoch + 1, members }
    records.setMembership(transaction, next)
    return next
  })
}

/** Buckets that no other cell has: what is in them goes with the cell. */
export const onlyIn = (buckets: readonly Bucket[], membership: Membership, cell: number): readonly string[] =>
  buckets
    .filter((bucket) => {
      const isLeaving = bucket.move?.step === 'leaving' && changingCells(bucket, membership).includes(cell)
      return isLeaving || cellsOf(bucket.location, membership).every((each) => each === cell)
    })
    .map(({ name }) => name)

/** Of a member that may go. Fault `InvalidRequest`: it is none, or is the root. */
async function standingWith(from: Snapshot, records: ClusterRecords, cell: number): Promise<Membership> {
  const membership = await records.membership(from)
  if (membership?.members.some((each) => each.cell === cell) !== true) throw refusal(`There is no cell ${cell}.`)
  if (membership.root === cell) throw refusal('The root cannot be removed.')
  return membership
}

/**
 * Ends a membership for good, in the root (C16), whatever only that cell has: it is lost, or never took writes. Throws Fault
 * `InvalidRequest` where it is not there, or is the root.
 */
export async function dismiss(store: Store, namespace: Namespace, cell: number): Promise<Membership> {
  const records = new ClusterRecords()
  return await store.transact(async (transaction) => {
    const before = await standingWith(transaction, records, cell)
    return await endMembership(transaction, namespace, before, cell)
  })
}

/**
 * Ends the membership of a cell that has done all that it had to (L1). Throws Fault `InvalidRequest` where it was not leaving, or
 * some bucket is nowhere else: in the transaction that ends it, as a bucket may have come to it, or left it, while it was asked.
 */
export async function letGo(
  store: Store,
  namespace: Namespace,
  cell: number,
  departure: Departure,
): Promise<Membership> {
  const records = new ClusterRecords()
  return await store.transact(async (transaction) => {
    const before = await standingWith(transaction, records, cell)
    // Asked again, it is told the same.
    if (memberOf(before, cell)?.state === 'removed') return before
    if (memberOf(before, cell)?.state !== 'leaving') throw refusal('This region does not leave.')
    const only = onlyIn(await namespace.buckets(transaction), before, cell)
    if (only.length > 0) throw refusal(`Only there are: ${only.join(', ')}.`)
    setDeparture(transaction, cell, departure)
    return await endMembership(transaction, namespace, before, cell)
  })
}

/** All that changes in the namespace as a cell goes: buckets whose home it was get another one (C23), and none is left nowhere. */
async function endMembership(
  to: Transaction,
  namespace: Namespace,
  before: Membership,
  cell: number,
): Promise<Membership> {
  const next: Membership = { ...before, epoch: before.epoch + 1, members: removed(before.members, cell) }
  new ClusterRecords().setMembership(to, next)
  await settleBuckets(to, namespace, { before, next, cell })
  return next
}

export const removed = (members: readonly Member[], cell: number): readonly Member[] =>
  members.map((each) => (each.cell === cell ? { ...each, state: 'removed' } : each))

export interface Removal {
  readonly before: Membership
  readonly next: Membership
  readonly cell: number
}

/** In the transaction that ends the membership. */
export async function settleBuckets(
  to: Transaction,
  namespace: Namespace,
  { before, next, cell }: Removal,
): Promise<void> {
  for (const bucket of await namespace.buckets(to)) {
    const settled = withHome(withoutCell(bucket, cell, before), next, cell)
    if (settled !== bucket) namespace.changeBucket(to, settled)
  }
}

function withHome(bucket: Bucket, membership: Membership, cell: number): Bucket {
  if (bucket.home?.cell !== cell) return bucket
  const cells = cellsOf(bucket.location, membership).filter((each) => memberOf(membership, each)?.state === 'active')
  const heir = cells.includes(membership.root) ? membership.root : cells.toSorted((a, b) => a - b)[0]
  return heir === undefined ? bucket : { ...bucket, home: { cell: heir, epoch: bucket.home.epoch + 1 } }
}

/** Whether nothing was ever kept here: only such a cell may join (C16). */
export async function isBlank(store: Store): Promise<boolean> {
  return await store.snapshot(async (snapshot) => {
    // What lies beyond the namespace is there only because of it.
    const rows = await snapshot.range(wholeNamespace.from, Uint8Array.of(0xff), { limit: 1 })
    return rows.length === 0
  })
}

/** Writes down what the root answered; `store` is unguarded. */
export async function settle(store: Store, location: JoinRequest, { cell, membership }: JoinAnswer): Promise<Standing> {
  const { region, geography, peer, incarnation } = location
  const self: Self = { region, geography, peer, incarnation, cell }
  await store.transact(async (transaction) => {
    setSelf(transaction, self)
    new ClusterRecords().setMembership(transaction, membership)
  })
  return { self, membership }
}

export const writeJoin = (message: JoinRequest | JoinAnswer): Uint8Array => encodeMessage(message)
export const readJoinRequest = (bytes: Uint8Array): JoinRequest => decodeMessage<JoinRequest>(bytes)
export const readJoinAnswer = (bytes: Uint8Array): JoinAnswer => decodeMessage<JoinAnswer>(bytes)
