import { Fault } from '#src/errors.ts'
import { ClusterRecords } from '#src/metadata/cluster-records.ts'
import { Namespace } from '#src/metadata/namespace.ts'
import { governNamespace, readNamespaceHead } from '#src/metadata/namespace-feed.ts'
import {
  clearNamespaceCursor,
  forsake,
  readNamespaceCursor,
  setNamespaceCursor,
  setNamespaceHeard,
} from '#src/metadata/namespace-replica.ts'
import { type Member, type Membership, memberOf } from '#src/model/region.ts'
import type { Store, Transaction } from '#src/store/store.ts'
import type { World } from '#src/world.ts'
import { type Removal, removed, settleBuckets } from './founding.ts'
import type { Members } from './members.ts'
import { bytesOf, decodeMessage, encodeMessage, textOf } from './messages.ts'
import { within } from './patience.ts'
import type { Method, Transport } from './transport.ts'

export interface PromotionParts {
  /** Neither recorded nor guarded. */
  readonly store: Store
  readonly world: World
  readonly members: Members
  readonly transport: Transport
}

/** How far a replica of the namespace is. */
interface Standing {
  readonly root: string
  readonly position: string
  readonly isWhole: boolean
  /** Of the membership that it knows; absent: of a release before this one. */
  readonly epoch?: number
  /** It takes no part yet, by its own row: nobody waits for what it knows (C24). */
  readonly isJoining?: boolean
}

type Position = Pick<Standing, 'position'>

interface ForsakeRequest {
  /** Of the root that is lost. */
  readonly reign: number
}

const askMilliseconds = 10_000
/** How long the lost root is not followed while another one takes its place, and by when that one must have, in milliseconds. */
const forsakenMilliseconds = 600_000
const decideMilliseconds = 300_000
/** A root that takes the place of a lost one knows not which epochs that one reached. */
const epochsAhead = 1_000
/** How often a level replica asks for the root's place. */
const turns = 50
const turnMilliseconds = 200

const reignOf = ({ reign = 0 }: Membership): number => reign

const refusal = (message: string): Fault => new Fault('InvalidRequest', { message })

/** Which root a replica follows: positions of another one's feed, or of an earlier reign's, mean nothing. */
export const rootOf = (incarnation: string, membership: Membership): string =>
  reignOf(membership) === 0 ? incarnation : `${incarnation}/${reignOf(membership)}`

/**
 * What cells say to each other when the root changes (C25).
 *
 * Y16  a root gives its place up in a transaction in which the one that follows has all that it ever changed; from then on it changes
 *      nothing, and is as far with itself as anybody can be.
 * Y17  the place of a lost root is taken only by a replica that is as far as every other one that is asked, with the latest root that any of
 *      them has followed, after all of those follow the lost one no more, nor any before it: what any of them confirms, the new root has.
 */
export function promotionMethods({ store, world, members }: Omit<PromotionParts, 'transport'>): readonly Method[] {
  const records = new ClusterRecords()
  return [
    {
      name: 'abdicate',
      answer: async (request, { cell }) => {
        const asked = { heir: cell, now: world.now(), ...decodeMessage<Position>(request) }
        const answer = await abdicate(store, members.self.cell, asked)
        await members.refresh()
        return encodeMessage(answer ?? null)
      },
    },
    {
      name: 'forsake',
      answer: async (request) => {
        // A release before this one says nothing.
        const { reign = -1 } = request.length === 0 ? {} : decodeMessage<ForsakeRequest>(request)
        const parts = { cell: members.self.cell, reign, now: world.now() }
        const standing = await store.transact((transaction) => forsakeRoot(transaction, records, parts))
        return encodeMessage(standing ?? null)
      },
    },
    {
      name: 'enthrone',
      answer: async (request) => {
        await follow({ store, members }, decodeMessage<Membership>(request))
        return nothing
      },
    },
    {
      name: 'reign',
      answer: async () => encodeMessage((await store.snapshot((from) => records.membership(from))) ?? null),
    },
  ]
}

const nothing = new Uint8Array(0)

/** From now on another one is the root, if it reigns later than the one that is known here. */
async function follow({ store, members }: Pick<PromotionParts, 'store' | 'members'>, told: Membership): Promise<void> {
  const records = new ClusterRecords()
  await store.transact(async (transaction) => {
    const known = await records.membership(transaction)
    if (known === undefined || reignOf(told) <= reignOf(known)) return
    records.setMembership(transaction, told)
  })
  await members.refresh()
}

/**
 * For a replica that has not heard the root for some time: asks all others whom they follow. A new root that was moved to another store
 * before it could tell is not listened to by who does not know that (C16), and the one before only says that it is the root no more.
 */
export async function findRoot({ store, world, members, transport }: PromotionParts): Promise<void> {
  const answers = await Promise.all(
    members.peers.map(async ({ cell }) => {
      const ask = (signal: AbortSignal) => transport.ask(cell, 'reign', nothing, signal)
      return await within(world, askMilliseconds, ask).then(
        (answer) => decodeMessage<Membership | null>(answer) ?? [],
        () => [],
      )
    }),
  )
  const [latest] = answers.flat().sort((one, other) => reignOf(other) - reignOf(one))
  if (latest !== undefined) await follow({ store, members }, latest)
}

const isStateOf = (membership: Membership, cell: number, state: Member['state']): boolean =>
  memberOf(membership, cell)?.state === state

interface Forsaking extends ForsakeRequest {
  /** This one. */
  readonly cell: number
  readonly now: number
}

/** Follows the root no more, and tells how far it was; undefined: it never followed one. */
async function forsakeRoot(
  to: Transaction,
  records: ClusterRecords,
  { cell, reign, now }: Forsaking,
): Promise<Standing | undefined> {
  const cursor = await readNamespaceCursor(to)
  const root = cursor?.incarnation ?? ''
  forsake(to, { root, until: now + forsakenMilliseconds, ...(reign >= 0 && { reign }) })
  const membership = await records.membership(to)
  if (cursor === undefined || membership === undefined) return undefined
  const { position, copiedTo } = cursor
  const isJoining = isStateOf(membership, cell, 'joining')
  return { root, position: textOf(position), isWhole: copiedTo === undefined, epoch: membership.epoch, isJoining }
}

/** The reign of a root, as `rootOf` names it. */
const reignIn = (root: string): number => Number(root.split('/')[1] ?? 0)

/** Whether a replica knows more than another one: of a later root, or more of the same one. */
function isAhead(one: Standing, other: Standing): boolean {
  if (reignIn(one.root) !== reignIn(other.root)) return reignIn(one.root) > reignIn(other.root)
  // The root was reborn in its reign: positions before mean nothing, and others know of it by a later membership.
  if (one.root !== other.root) return (one.epoch ?? 0) > (other.epoch ?? 0)
  return Buffer.compare(bytesOf(one.position), bytesOf(other.position)) > 0
}

/** Undefined: the one that asks has not all yet. */
async function abdicate(
  store: Store,
  here: number,
  { heir, position, now }: Position & { readonly heir: number; readonly now: number },
): Promise<Membership | undefined> {
  const records = new ClusterRecords()
  return await store.transact(async (transaction) => {
    const membership = await records.membership(transaction)
    // Asked again, it says the same: nothing can have changed here since.
    if (membership === undefined || membership.root === heir) return membership
    if (membership.root !== here) throw refusal('This cell is not the root.')
    if (memberOf(membership, heir)?.state !== 'active')
      throw refusal('A region that joins or leaves cannot be the root.')
    const head = await readNamespaceHead(transaction)
    if (Buffer.compare(head, bytesOf(position)) !== 0) return undefined
    const { incarnation = '' } = memberOf(membership, here) ?? {}
    setNamespaceCursor(transaction, { incarnation: rootOf(incarnation, membership), position: head })
    setNamespaceHeard(transaction, now)
    const next: Membership = { ...membership, epoch: membership.epoch + 1, root: heir, reign: reignOf(membership) + 1 }
    records.setMembership(transaction, next)
    return next
  })
}

/** Makes this cell the root. */
export class Promotion {
  readonly #parts: PromotionParts
  readonly #records = new ClusterRecords()

  constructor(parts: PromotionParts) {
    this.#parts = parts
  }

  /** In the place of a root that answers; clients who change settings meanwhile are told to try again. */
  async succeed(): Promise<Membership> {
    const { store, world, members } = this.#parts
    const { membership } = members
    if (members.isRoot) throw refusal('This region is the root already.')
    for (let turn = 0; turn < turns; turn++) {
      const cursor = await store.snapshot(readNamespaceCursor)
      if (cursor !== undefined && cursor.copiedTo === undefined) {
        const request = encodeMessage({ position: textOf(cursor.position) } satisfies Position)
        const answer = await this.#ask(membership.root, 'abdicate', request)
        const next = decodeMessage<Membership | null>(answer)
        if (next !== null) return await this.#take(next)
      }
      await world.sleep(turnMilliseconds, never)
    }
    throw refusal('This region does not catch up with the root: is its server running?')
  }

  /**
   * In the place of a root that is lost, which is no member any more from then on. `without`: regions that cannot be asked either; what
   * only they and the lost one know is lost with it.
   */
  async replace(without: readonly string[]): Promise<Membership> {
    const { world, members } = this.#parts
    const { membership, self } = members
    if (members.isRoot) throw refusal('This region is the root already.')
    if (isStateOf(membership, self.cell, 'joining')) throw refusal('A region that joins cannot be the root.')
    if (await this.#answers(membership.root)) throw refusal('The root answers: it can give its place up itself.')
    const began = world.monotonic()
    const others = membership.members.filter(
      ({ cell, region, state }) =>
        cell !== self.cell && cell !== membership.root && state !== 'removed' && !without.includes(region),
    )
    const own = await this.#forsake()
    for (const other of others) this.#compare(own, other, await this.#forsaken(other))
    if (world.monotonic() - began > decideMilliseconds) throw refusal('It took too long: begin again.')
    const { epoch, root, members: before } = membership
    const next: Membership = {
      root: self.cell,
      epoch: epoch + epochsAhead,
      reign: reignOf(membership) + 1,
      members: removed(before, root),
    }
    return await this.#take(next, { before: membership, next, cell: root })
  }

  async #answers(cell: number): Promise<boolean> {
    return await this.#ask(cell, 'ping', nothing).then(
      () => true,
      () => false,
    )
  }

  async #forsake(): Promise<Standing> {
    const { store, world, members } = this.#parts
    const parts = { cell: members.self.cell, reign: reignOf(members.membership), now: world.now() }
    return await store.transact(async (transaction) => {
      const standing = await forsakeRoot(transaction, this.#records, parts)
      if (standing?.isWhole !== true) throw refusal('This region has not all settings.')
      return standing
    })
  }

  async #forsaken({ cell, region }: Member): Promise<Standing | undefined> {
    try {
      const request = encodeMessage({ reign: reignOf(this.#parts.members.membership) } satisfies ForsakeRequest)
      return decodeMessage<Standing | null>(await this.#ask(cell, 'forsake', request)) ?? undefined
    } catch (cause) {
      const message = `The region ${region} cannot be asked, and may know more: --without ${region} goes on all the same.`
      throw new Fault('InvalidRequest', { message }, { cause })
    }
  }

  #compare(own: Standing, { region }: Member, theirs: Standing | undefined): void {
    if (theirs === undefined || !theirs.isWhole || theirs.isJoining === true) return
    if (!isAhead(theirs, own)) return
    throw refusal(`The region ${region} knows more of what the root changed: make that one the root.`)
  }

  /** Now the feed of the namespace begins here: all others copy it anew. */
  async #take(next: Membership, lost?: Removal): Promise<Membership> {
    const { store, members } = this.#parts
    const { cell } = members.self
    await governNamespace(store, cell).transact(async (transaction) => {
      this.#records.setMembership(transaction, next)
      if (lost !== undefined) await settleBuckets(transaction, new Namespace(), lost)
      // A page of the root before that is still on its way is not applied any more.
      clearNamespaceCursor(transaction)
    })
    await members.refresh()
    return next
  }

  async #ask(cell: number, method: string, request: Uint8Array): Promise<Uint8Array> {
    const { world, transport } = this.#parts
    return await within(world, askMilliseconds, (signal) => transport.ask(cell, method, request, signal))
  }
}

const never = new AbortController().signal

/** Tells all others that this cell is the root, each until it has heard. */
export class Proclamation {
  readonly #parts: Pick<PromotionParts, 'world' | 'members' | 'transport'>
  readonly #heard = new Set<string>()

  constructor(parts: Pick<PromotionParts, 'world' | 'members' | 'transport'>) {
    this.#parts = parts
  }

  async step(): Promise<void> {
    const { world, members, transport } = this.#parts
    const { membership, peers } = members
    const reign = reignOf(membership)
    if (!members.isRoot || reign === 0) return
    await Promise.all(
      peers.map(async ({ cell }) => {
        const name = `${reign} ${cell}`
        if (this.#heard.has(name)) return
        const ask = (signal: AbortSignal) => transport.ask(cell, 'enthrone', encodeMessage(membership), signal)
        await within(world, askMilliseconds, ask).then(
          () => this.#heard.add(name),
          () => undefined,
        )
      }),
    )
  }
}
