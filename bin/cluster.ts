import { readFileSync } from 'node:fs'
import { askStranger, isPassing, PeerClient } from '#gateway/peer/client.ts'
import { ClusterSecret } from '#gateway/peer/sealing.ts'
import { finalRefusal } from '#src/cluster/admission.ts'
import {
  beReborn,
  changeMember,
  forgetBefore,
  found,
  isBlank,
  type JoinRequest,
  newIncarnation,
  readJoinAnswer,
  readStanding,
  type Standing,
  settle,
  writeJoin,
} from '#src/cluster/founding.ts'
import { Members } from '#src/cluster/members.ts'
import { encodeMessage } from '#src/cluster/messages.ts'
import { NamespaceFollower } from '#src/cluster/namespace-follower.ts'
import { findRoot, type PromotionParts } from '#src/cluster/promotion.ts'
import { BadSettings, type Config } from '#src/config/load.ts'
import { DataDirectoryError } from '#src/data-directory.ts'
import { Fault } from '#src/errors.ts'
import { ClusterRecords } from '#src/metadata/cluster-records.ts'
import { IamRecords } from '#src/metadata/iam-records.ts'
import { enterLayout, newestOf, readLayout, whyNotRead } from '#src/metadata/layout-records.ts'
import { layouts } from '#src/metadata/layouts.ts'
import { governNamespace } from '#src/metadata/namespace-feed.ts'
import { readNodes, setNode } from '#src/metadata/node-records.ts'
import { originsOf } from '#src/model/region.ts'
import { locationOf, nodeOriginOf } from '#src/open/region.ts'
import { type CellNode, openStore } from '#src/open/store.ts'
import { openKeys } from '#src/open.ts'
import { MessageKeys } from '#src/service/message-keys.ts'
import { SessionTokens } from '#src/service/sts/session-tokens.ts'
import type { Store } from '#src/store/store.ts'
import type { Log } from '#src/telemetry/log.ts'
import type { World } from '#src/world.ts'

/** Shorter ones can be guessed. */
const secretCharactersMin = 16

/** Undefined: this node is alone. */
export function clusterSecretOf({ clusterSecret, clusterSecretFile }: Config): ClusterSecret | undefined {
  const text = clusterSecret ?? (clusterSecretFile === undefined ? undefined : readSecret(clusterSecretFile))
  return text === undefined ? undefined : new ClusterSecret(text)
}

function readSecret(file: string): string {
  const text = readFileSync(file, 'utf8').trim()
  if (text.length >= secretCharactersMin) return text
  throw new BadSettings(`bad settings: ${file} holds less than ${secretCharactersMin} characters`)
}

/** By region, as `--peer-delay` has it. */
export function delaysOf({ peerDelay }: Config): ReadonlyMap<string, number> {
  const pairs = peerDelay.split(',').filter((each) => each !== '')
  return new Map(
    pairs.map((each) => {
      const [region = '', milliseconds] = each.split('=')
      return [region, Number(milliseconds)]
    }),
  )
}

/** How long a start waits for the root, between which tries, and how often it says so, in milliseconds. */
const joinMilliseconds = 300_000
const againMilliseconds = 500
const tellMilliseconds = 10_000

/**
 * Before any process of the node opens its data directory: makes it the first cell of a cluster, or a cell that joins one, or tells the
 * root where it is now. Gives whether this is the root, which alone keeps accounts; undefined: it is alone.
 */
export async function prepareCluster(config: Config, world: World, log: Log): Promise<{ isRoot: boolean } | undefined> {
  const secret = clusterSecretOf(config)
  if (secret === undefined) {
    if (config.join !== undefined) throw new BadSettings('bad settings: --join needs --cluster-secret-file')
    return undefined
  }
  const { store, node } = await openStore(config, world)
  try {
    const records = new ClusterRecords()
    const before = await readStanding(store, records)
    const untilHeard = patiently(config, world, log)
    if (before?.self.was !== undefined) await comeBack({ store, secret, config, world, untilHeard }, before)
    const standing = before?.self.was === undefined ? before : await readStanding(store, records)
    if (standing === undefined && node?.isFirst === false) throw new DataDirectoryError(alone)
    const location = locationOf(config, standing?.self.incarnation ?? newIncarnation(world))
    const parts = { store, world, secret, location, untilHeard }
    if (standing !== undefined) {
      checkStanding(standing, location, config)
      const peer = node === undefined ? location.peer : await comeIn(store, node, config, world)
      return await begin({ ...parts, location: { ...location, peer }, standing })
    }
    const isRoot = config.join === undefined
    if (config.join !== undefined) await join({ ...parts, root: config.join })
    else {
      await makeSharedKeys(store, config, world)
      await found(store, world, location)
    }
    if (node !== undefined) await comeIn(store, node, config, world)
    return { isRoot }
  } finally {
    await store.close()
  }
}

/** Runs what asks the root. `asking`: of a cell that others know, and may tell of another root. */
type UntilHeard = <T>(ask: (signal: AbortSignal) => Promise<T>, asking?: PromotionParts) => Promise<T>

/** Why a start ends at which the root, or another member, refused for good. */
const ended = {
  removed: 'was removed from its cluster',
  forgotten: 'is not known to the root of its cluster any more',
} as const

/** Of several regions that are started together, only the directory tells which one it is. */
const endedFor = (reason: keyof typeof ended, { data }: Config, cause?: unknown): DataDirectoryError =>
  new DataDirectoryError(
    `the cell in ${data} ${ended[reason]}: join with an empty directory`,
    cause === undefined ? {} : { cause },
  )

/**
 * The root may start later than this cell, or be on its way back: it is asked again. What else fails is thrown at once; DataDirectoryError
 * where it says that it will not listen any more.
 */
function patiently(config: Config, world: World, log: Log): UntilHeard {
  return async (ask, asking) => {
    const signal = AbortSignal.timeout(joinMilliseconds)
    let told = Number.NEGATIVE_INFINITY
    for (;;) {
      try {
        return await ask(signal)
      } catch (error) {
        if (signal.aborted) throw error
        endAt(error, asking !== undefined, config)
        if (world.monotonic() - told >= tellMilliseconds) {
          log.warn('the root does not answer yet, and is asked again', { error })
          told = world.monotonic()
        }
        if (asking !== undefined) await askOthers(asking, error, config)
        // What it fails with says more than that the time is over.
        await world.sleep(againMilliseconds, signal, { ref: true }).catch(() => {
          throw error
        })
      }
    }
  }
}

/** Throws what asking again does not help against. `mayBeOther`: another one may be the root by now, and be found. */
function endAt(error: unknown, mayBeOther: boolean, config: Config): void {
  const refusal = finalRefusal(error)
  if (refusal !== undefined) throw endedFor(refusal, config, error)
  const isOther = mayBeOther && error instanceof Fault && error.code === 'ServiceUnavailable'
  if (!isPassing(error) && !isOther) throw error
}

/** As a region does that does not hear its root. */
async function askOthers(asking: PromotionParts, cause: unknown, config: Config): Promise<void> {
  await findRoot(asking)
  if (asking.members.isRemoved) throw endedFor('removed', config, cause)
}

/** Why a second node is refused. */
const alone =
  'the node that has this --fdb-prefix serves alone: start it with --cluster-secret-file first, or give this one another prefix'

/**
 * Writes a node down among those that share the cell; gives where the cell is: at each of them. Throws DataDirectoryError where the others' version
 * of Meridian is too old to serve beside this one; that this node has a newer one is written down all the same.
 */
async function comeIn(store: Store, node: CellNode, config: Config, world: World): Promise<string> {
  const { nodes, reason } = await store.transact(async (transaction) => {
    const nodes = new Map(await readNodes(transaction))
    const unread = whyNotRead(await readLayout(transaction), layouts)
    if (unread !== undefined) return { nodes, reason: unread }
    const beat = (nodes.get(node.id)?.beat ?? 0) + 1
    const record = { peer: nodeOriginOf(config), beat, at: world.now(), layout: newestOf(layouts) }
    setNode(transaction, node.id, record)
    return { nodes: nodes.set(node.id, record), reason: await enterLayout(transaction, layouts, node.id) }
  })
  node.confirm()
  if (reason !== undefined) throw new DataDirectoryError(reason)
  if (config.peerUrl !== undefined && config.nodeUrl !== undefined) return config.peerUrl
  return [...new Set([...nodes.values()].map(({ peer }) => peer))].sort().join(',')
}

/** A cell that was copied to another store: the root, and through it all others, must know of its new incarnation (C15). */
async function comeBack(
  parts: Omit<Starting, 'location'> & { readonly config: Config },
  { self, membership }: Standing,
): Promise<void> {
  const { store, secret, config, world, untilHeard } = parts
  const root = membership.members.find(({ cell }) => cell === membership.root)
  if (root === undefined || root.cell === self.cell) await beReborn(governNamespace(store, self.cell), self)
  else {
    const { incarnation, was } = self
    const request: JoinRequest = { ...locationOf(config, incarnation), ...(was !== undefined && { was }) }
    const [origin = ''] = originsOf(root)
    const stranger = { secret, world, origin, incarnation }
    await untilHeard((signal) => askStranger(stranger, 'join', writeJoin(request), signal))
  }
  await forgetBefore(store)
}

interface Starting {
  readonly store: Store
  readonly world: World
  readonly secret: ClusterSecret
  readonly location: JoinRequest
  readonly untilHeard: UntilHeard
}

/** What other cells only read of the namespace must be there before they are. */
async function makeSharedKeys(store: Store, config: Config, world: World): Promise<void> {
  await new MessageKeys({ store, world, own: openKeys(config, world).own }).current()
  await new SessionTokens({ store, world, records: new IamRecords() }).currentKey()
}

/** Of a cell that is in a cluster already. */
function checkStanding({ self }: Standing, location: JoinRequest, config: Config): void {
  if (self.isRemoved === true) throw endedFor('removed', config)
  if (self.region !== location.region) {
    throw new DataDirectoryError(`this is the cell of the region ${self.region}, and stays it`)
  }
}

/** Tells the root where the cell is now. */
async function begin(parts: Starting & { readonly standing: Standing }): Promise<{ isRoot: boolean }> {
  const { store, world, secret, standing, location, untilHeard } = parts
  const { self, membership } = standing
  const { peer, geography } = location
  const isRoot = membership.root === self.cell
  const known = membership.members.find(({ cell }) => cell === self.cell)
  if (known?.peer === peer && known.geography === geography) return { isRoot }
  if (isRoot) {
    await changeMember(governNamespace(store, self.cell), self.cell, (member) => ({ ...member, peer, geography }))
    return { isRoot }
  }
  const members = new Members({ store, records: new ClusterRecords(), ...standing })
  const client = new PeerClient({ secret, members, world })
  try {
    const message = encodeMessage({ peer, geography })
    const ask = (signal: AbortSignal) => client.ask(members.membership.root, 'member-moved', message, signal)
    await untilHeard(ask, { store, world, members, transport: client })
  } finally {
    client.close()
  }
  return { isRoot }
}

/** A cell that has nothing yet: its number, and then all of the namespace, come from the root. */
async function join(parts: Starting & { readonly root: string }): Promise<{ isRoot: boolean }> {
  const { store, world, secret, location, root, untilHeard } = parts
  if (!(await isBlank(store))) throw new DataDirectoryError('a region joins from an empty data directory only')
  const stranger = { secret, world, origin: root, incarnation: location.incarnation }
  const answer = await untilHeard((signal) => askStranger(stranger, 'join', writeJoin(location), signal))
  const standing = await settle(store, location, readJoinAnswer(answer))
  const members = new Members({ store, records: new ClusterRecords(), ...standing })
  const client = new PeerClient({ secret, members, world })
  try {
    const follower = new NamespaceFollower({ store, world, members, transport: client })
    await untilHeard((signal) => follower.copyAll(signal), { store, world, members, transport: client })
  } finally {
    client.close()
  }
  return { isRoot: false }
}
