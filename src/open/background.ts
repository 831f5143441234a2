import type { Volumes } from '#src/blobs/volumes.ts'
import type { CellNodes } from '#src/cluster/cell-nodes.ts'
import type { Config } from '#src/config/load.ts'
import type { Keys } from '#src/encryption/key-provider.ts'
import { layouts } from '#src/metadata/layouts.ts'
import { Collector } from '#src/service/collector.ts'
import { Compactor } from '#src/service/compactor.ts'
import type { Foundation } from '#src/service/foundation.ts'
import { LayoutUpgrade } from '#src/service/layout-upgrade.ts'
import { LifecycleWorker } from '#src/service/lifecycle.ts'
import { LogDelivery } from '#src/service/log-delivery.ts'
import { MessageKeys } from '#src/service/message-keys.ts'
import { Notifier } from '#src/service/notifier.ts'
import { type Damage, Scrubber, type ScrubReport } from '#src/service/scrubber.ts'
import type { Store } from '#src/store/store.ts'
import type { Log } from '#src/telemetry/log.ts'
import type { Metrics } from '#src/telemetry/metrics.ts'
import { HttpSender } from '#src/webhook/sender.ts'
import type { World } from '#src/world.ts'
import { type BackgroundMeters, backgroundMeters } from './metrics.ts'
import { performTasks } from './tiers.ts'

export interface BackgroundOptions {
  readonly config: Config
  readonly log: Log
  readonly metrics: Metrics
  /** Where others may share the cell. */
  readonly nodes?: CellNodes
}

function logDamage(log: Log, { kind, error, objects, ...fields }: Damage): void {
  log.error(kind === 'blob' ? 'a blob is damaged' : 'a value of the metadata is damaged', { ...fields, error, objects })
}

/** Reads everything, slowly, round after round. */
async function scrub(
  foundation: Foundation,
  volumes: Volumes,
  { config, log, nodes }: BackgroundOptions,
  meters: BackgroundMeters,
  signal: AbortSignal,
): Promise<void> {
  if (config.scrubDays === 0) return
  const options = {
    bytesPerSecondMin: config.scrubRate,
    periodMilliseconds: config.scrubDays * 86_400_000,
    report: (damage: Damage) => logDamage(log, damage),
    progress: meters.scrubbing(),
    done: (report: ScrubReport) => {
      meters.scrubEnded()
      log.info('everything was read', { ...report })
    },
  }
  const node = nodes && { name: nodes.node, isElsewhere: nodes.isElsewhere.bind(nodes) }
  const scrubber = new Scrubber(foundation, volumes.maintenance, node)
  await scrubber.run(signal, options, (error) => log.error('scrubbing failed', { error }))
}

/** What a node does for its own volumes until the signal. */
export async function tendVolumes(
  foundation: NodeFoundation,
  volumes: Volumes,
  options: BackgroundOptions,
  signal: AbortSignal,
): Promise<void> {
  const { log, metrics } = options
  const meters = backgroundMeters(metrics, foundation.world)
  const compactor = new Compactor(foundation, volumes.maintenance, (event) => {
    if (event.kind === 'compacted') {
      meters.compacted()
      log.info('a segment was compacted', event)
    } else log.error('bytes that are named cannot be read', { error: event.error })
  })
  await Promise.all([
    compactor.run(signal, (error) => log.error('compacting failed', { error })),
    scrub(foundation, volumes, options, meters, signal),
  ])
}

/** What is done once in a cell, until the signal. */
export async function tendRecords(
  foundation: NodeFoundation,
  { config, log }: BackgroundOptions,
  signal: AbortSignal,
): Promise<void> {
  const lifecycle = new LifecycleWorker(foundation, {
    dayMilliseconds: config.lifecycleDay * 1000,
    report: (done) => log.info('lifecycle rules were carried out', { ...done }),
    failed: (error) => log.error('carrying out lifecycle rules failed', { error }),
  })
  await Promise.all([
    new Collector(foundation).run(foundation.world, signal, (error) => log.error('collecting failed', { error })),
    lifecycle.run(signal),
    performTasks(foundation, config, log, signal),
    new LogDelivery(foundation).run(signal, (error) => log.error('delivering a log failed', { error })),
    notify(foundation, config, log, signal),
  ])
}

/** Brings the rows of a cell to the newest layout, until they are, or the signal. `store`: the cell's, and nothing in between but the lead. */
export async function raiseLayout(store: Store, world: World, log: Log, signal: AbortSignal): Promise<void> {
  const upgrade = new LayoutUpgrade({
    store,
    world,
    layouts,
    report: ({ kind, ...fields }) => {
      if (kind === 'failed') log.error("raising the metadata's layout failed, and is tried again", fields)
      else if (kind === 'waiting') log.warn("raising the metadata's layout waits for nodes of an older version", fields)
      else if (kind === 'done') log.info('the metadata has a new layout', fields)
      else log.info("raising the metadata's layout", fields)
    },
  })
  await upgrade.run(signal)
}

/** A node's own, which can encrypt. */
export type NodeFoundation = Foundation & { readonly keys: Keys }

export const messageKeysOf = ({ store, world, keys: { own } }: NodeFoundation): MessageKeys =>
  new MessageKeys({ store, world, own })

/** Takes what buckets and topics tell to their endpoints. */
async function notify(foundation: NodeFoundation, config: Config, log: Log, signal: AbortSignal): Promise<void> {
  const { store, world } = foundation
  const notifier = new Notifier({
    store,
    world,
    keys: messageKeysOf(foundation),
    sender: new HttpSender(world, config.notificationEndpoints),
    giveUpMilliseconds: config.notificationHours * 3_600_000,
    deadLettersMost: config.deadLettersMax,
    forgotten: (event) => log.error('the oldest dead letters of a topic were forgotten for newer ones', event),
    report: ({ kind, ...fields }) => {
      if (kind === 'given up') log.error('a notification was given up, and is a dead letter', fields)
      else log.warn('a notification was not taken, and is tried again', fields)
    },
    failed: (error) => log.error('sending notifications failed', { error }),
  })
  await notifier.run(signal)
}

/** Does all of it until the signal. Where one fails the others end too: whoever begins again begins alone. */
export async function together(
  signal: AbortSignal,
  works: readonly ((signal: AbortSignal) => Promise<void> | undefined)[],
): Promise<void> {
  const failing = new AbortController()
  const either = AbortSignal.any([signal, failing.signal])
  await Promise.all(
    works.map(async (work) => {
      try {
        await work(either)
      } catch (error) {
        failing.abort(error)
      }
    }),
  )
  failing.signal.throwIfAborted()
}
