import type { Config } from '#src/config/load.ts'
import type { Foundation } from '#src/service/foundation.ts'
import { randomId } from '#src/service/random-words.ts'
import { CellUsage, type Usage } from '#src/service/usage.ts'
import { UsageJournal } from '#src/service/usage-journal.ts'
import { UsageKeeper } from '#src/service/usage-keeper.ts'
import { UsageMeter } from '#src/service/usage-meter.ts'
import type { Log } from '#src/telemetry/log.ts'

/** What counts the usage of buckets, in this process and for the whole store. */
export class OpenUsage {
  readonly meter: UsageMeter
  readonly service: Usage
  readonly #keeper: UsageKeeper

  private constructor(
    { store, world, namespace, region }: Foundation,
    { config, log }: { readonly config: Config; readonly log: Log },
    journal: UsageJournal,
  ) {
    const failed = (error: unknown) => log.error('counting usage failed', { error })
    this.meter = new UsageMeter({ store, world, journal, failed })
    this.service = new CellUsage({ store, namespace, region, flush: () => this.meter.flush() })
    this.#keeper = new UsageKeeper({
      store,
      world,
      namespace,
      days: config.usageDays,
      failed,
      recover: () => this.meter.recover(),
    })
  }

  /** `folder`: where processes write down what they have not added yet. */
  static async open(
    foundation: Foundation,
    options: { readonly config: Config; readonly log: Log },
    folder: string,
  ): Promise<OpenUsage> {
    return new OpenUsage(foundation, options, await UsageJournal.open(folder, randomId(foundation.world)))
  }

  /** Until the signal, in each process. */
  async count(signal: AbortSignal): Promise<void> {
    await this.meter.run(signal)
  }

  /** Until the signal, in one process of a node. */
  async keep(signal: AbortSignal): Promise<void> {
    await this.#keeper.run(signal)
  }
}
