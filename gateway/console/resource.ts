import type { Lag } from '#src/cluster/feed-lag.ts'
import type { Region } from '#src/cluster/region.ts'
import type { Caller } from '#src/model/identity.ts'
import type { ConditionValues } from '#src/model/policy-variables.ts'
import type { AccessControl } from '#src/service/access.ts'
import type { Conflicts } from '#src/service/conflicts.ts'
import type { DeadLetters } from '#src/service/dead-letters.ts'
import type { OutboxJobs } from '#src/service/outbox-jobs.ts'
import type { Placements } from '#src/service/placements.ts'
import type { Services } from '#src/service/services.ts'
import type { WorkList } from '#src/service/work-list.ts'

/** What a setting of this node is, without those that are secrets. */
export interface ShownSetting {
  readonly name: string
  readonly value: string
  readonly isDefault: boolean
  readonly description: string
}

/** What the console can be asked for, beside what S3 and IAM answer anyway. */
export interface ConsoleServices {
  readonly access: Pick<AccessControl, 'authorize'>
  readonly services: Pick<Services, 'buckets' | 'objects' | 'domains'>
  readonly placements: Placements
  readonly conflicts: Conflicts
  readonly work: WorkList
  readonly jobs: OutboxJobs
  readonly letters: DeadLetters
  readonly settings: readonly ShownSetting[]
  readonly version: string
  /** The other regions; absent: there are none. */
  readonly region?: Region
  /** How far this region is behind each other one; of those that tell in time. */
  readonly behind?: () => Promise<ReadonlyMap<string, Lag>>
}

export type SignedCaller = Extract<Caller, { kind: 'account' }>

export interface Asked {
  readonly caller: SignedCaller
  readonly query: ReadonlyMap<string, string>
  /** Of a POST: its JSON, which is an object. */
  readonly body: Readonly<Record<string, unknown>>
  /** For conditions of policies. */
  readonly values: ConditionValues
}

/** One thing to ask for. */
export interface Resource {
  readonly method: 'GET' | 'POST'
  /** Behind `/-/console/api/`. */
  readonly path: string
  /** `administrator`: nobody else is told. `each`: whoever signed in; `run` asks what they may. */
  readonly audience: 'administrator' | 'each'
  /** Gives what is told as JSON. Throws Faults. */
  readonly run: (asked: Asked, console: ConsoleServices) => Promise<unknown>
}
