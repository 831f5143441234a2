import { makeBucket } from './buckets.ts'
import { type Check, type Extent, type Outcome, wait } from './check.ts'
import type { Cluster } from './cluster.ts'
import { Store } from './s3.ts'
import { away, cutOff, cutOneWay, hung, killed, type Trouble } from './troubles.ts'
import { type Phase, sumsOf, Writer } from './writers.ts'

const writersEach = 2
const betweenMilliseconds = 1_500
/** For as many writes as must be acknowledged between two faults: a busy machine needs its time. */
const betweenMost = 60_000
/** Acknowledged in each round, during the fault and after it: a store that answers nobody loses nothing either (C29). */
const acknowledgedLeast = 10

/** Somebody else who works meanwhile, and is asked at the end what is wrong. */
export interface Companion {
  work(phase: Phase): Promise<void>
  verify(): Promise<readonly string[]>
  readonly note: string
}

export interface Faults {
  readonly name: string
  readonly bucket: string
  readonly trouble: (extent: Extent) => Trouble
  /** Where it is not as many as others have. */
  readonly rounds?: (extent: Extent) => number
  /** Between the requests of a writer, in milliseconds. */
  readonly pause?: number
  readonly companions?: (cluster: Cluster) => Promise<readonly Companion[]>
}

/** One trouble after another, while writers in all regions go on; then all must agree, and hold what was acknowledged. */
export function underFaults({ name, bucket, trouble, rounds, pause, companions }: Faults): Check {
  return {
    name,
    async run(cluster, extent): Promise<Outcome> {
      const [root = ''] = cluster.codes
      await makeBucket(cluster, root, bucket)
      const stores = cluster.codes.map((code) => new Store(code, cluster.client(code), bucket))
      const writers = stores.flatMap((store) =>
        Array.from({ length: writersEach }, (_, number) => new Writer(store, `${store.region}-${number}`, pause)),
      )
      const others = (await companions?.(cluster)) ?? []
      const times = rounds?.(extent) ?? extent.rounds
      const phase: Phase = { isOver: false, isFaulty: false }
      const working = Promise.all([...writers, ...others].map((each) => each.work(phase)))
      try {
        const rests = async (): Promise<void> => {
          const enough = between(writers) + acknowledgedLeast
          await wait(betweenMilliseconds)
          const until = performance.now() + betweenMost
          while (between(writers) < enough && performance.now() < until) await wait(50)
        }
        await Promise.race([troubled(cluster, trouble(extent), { times, phase, rests }), working])
      } finally {
        phase.isOver = true
      }
      await working
      const failures = (await Promise.all(writers.map((each) => each.verify(stores)))).flat()
      for (const each of others) failures.push(...(await each.verify()))
      const { operations, duringFaults } = sumsOf(writers)
      const quietly = between(writers)
      if (duringFaults < acknowledgedLeast * times)
        failures.push(`only ${duringFaults} writes were acknowledged during faults`)
      if (quietly < acknowledgedLeast * times) failures.push(`only ${quietly} were between them`)
      const notes = [
        `${duringFaults} acknowledged during faults, ${quietly} between`,
        ...others.map(({ note }) => note),
      ]
      return { operations, failures, note: notes.join('; ') }
    },
  }
}

/** Acknowledged while nothing stood in the way. */
function between(writers: readonly Writer[]): number {
  const { operations, duringFaults } = sumsOf(writers)
  return operations - duringFaults
}

interface Course {
  readonly times: number
  readonly phase: Phase
  /** What goes on between two of them. */
  readonly rests: () => Promise<void>
}

async function troubled(cluster: Cluster, trouble: Trouble, { times, phase, rests }: Course): Promise<void> {
  for (let round = 0; round < times; round++) {
    phase.isFaulty = true
    await trouble(cluster, round)
    phase.isFaulty = false
    await rests()
  }
}

export const faultChecks: readonly Check[] = [
  underFaults({
    name: 'kill -9 of a region, again and again: nothing acknowledged is lost',
    bucket: 'killed',
    trouble: () => killed,
  }),
  underFaults({
    name: 'links cut in one direction: nothing is lost, and nothing deleted comes back',
    bucket: 'one-way',
    trouble: () => cutOneWay,
  }),
  underFaults({
    name: 'a region cut off from the others: nothing is lost, and nothing deleted comes back',
    bucket: 'cut-off',
    trouble: () => cutOff,
  }),
  underFaults({
    name: 'a region that hangs, or is away, for minutes: nothing is lost, and the others go on',
    bucket: 'hung',
    trouble: ({ isLong }) => {
      const milliseconds = isLong ? 150_000 : 4_000
      const kinds = [hung(milliseconds), away(milliseconds)]
      return async (cluster, round) => await kinds[round % kinds.length]?.(cluster, round)
    },
    rounds: () => 2,
    // So that what has to be caught up with is some ten thousand records, and not a hundred.
    pause: 5,
  }),
]
