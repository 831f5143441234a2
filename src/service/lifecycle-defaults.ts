import type { TransitionMinimum, TransitionWay } from '#src/model/lifecycle.ts'

/** What lifecycle configurations mean by what they leave out. */
export interface LifecycleDefaults {
  readonly transitionMinimum: TransitionMinimum
  /** Storage classes at other endpoints, which rules may lead to. */
  readonly tiers: ReadonlySet<string>
  readonly transitions: TransitionWay
}
