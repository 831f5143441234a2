import type { Foundation } from '#src/service/foundation.ts'
import { CellObjects } from '#src/service/objects.ts'
import type { Buckets, Services } from '#src/service/services.ts'
import { ShadowImports } from '#src/service/shadow-imports.ts'
import { ShadowListings } from '#src/service/shadow-listings.ts'
import { ShadowObjects } from '#src/service/shadow-objects.ts'
import { ShadowSources } from '#src/service/shadow-sources.ts'
import { ShadowTasks } from '#src/service/shadow-tasks.ts'
import { ShadowUploads } from '#src/service/shadow-uploads.ts'
import { CellShadows } from '#src/service/shadows.ts'
import type { Log } from '#src/telemetry/log.ts'
import type { Reach } from '#src/webhook/addresses.ts'

/** What buckets' shadows add to a store. */
export class OpenShadows {
  readonly #foundation: Foundation
  readonly #buckets: Buckets
  readonly #sources: ShadowSources
  readonly #imports: ShadowImports

  constructor(foundation: Foundation, buckets: Buckets, reach: Reach) {
    this.#foundation = foundation
    this.#buckets = buckets
    this.#sources = new ShadowSources(foundation, reach)
    this.#imports = new ShadowImports(foundation, this.#sources)
  }

  /** The services that ask shadows too. */
  over<Inner extends Pick<Services, 'objects' | 'uploads' | 'listings'>>(
    inner: Inner,
  ): Inner & Pick<Services, 'shadows'> {
    const objects = new ShadowObjects(inner.objects, this.#foundation, this.#imports)
    return {
      ...inner,
      objects,
      uploads: new ShadowUploads(inner.uploads, objects),
      listings: new ShadowListings(inner.listings, this.#foundation, this.#imports),
      shadows: new CellShadows(this.#foundation, this.#buckets, this.#sources),
    }
  }

  /** Until the signal. */
  async work(log: Log, signal: AbortSignal): Promise<void> {
    const tasks = new ShadowTasks(this.#foundation, new CellObjects(this.#foundation), this.#imports, {
      report: (failure) => log.warn('work at a shadow bucket failed, and is tried again', { ...failure }),
      failed: (error) => log.error('working at shadow buckets failed', { error }),
    })
    await tasks.runner.run(signal)
  }

  /** Gives up what is under way. */
  async close(): Promise<void> {
    await this.#imports.close()
  }
}
