import { wait } from './check.ts'
import type { Cluster } from './cluster.ts'

/** Something that happens to a cluster, and is over when it resolves. Rounds go through regions and pairs of them. */
export type Trouble = (cluster: Cluster, round: number) => Promise<void>

const cutMilliseconds = 4_000

export const codeAt = ({ codes }: Cluster, round: number): string => codes[round % codes.length] ?? ''

/** kill -9, and a start a second later. */
export const killed: Trouble = async (cluster, round) => {
  const code = codeAt(cluster, round)
  await cluster.kill(code)
  await wait(1_000)
  await cluster.startRegion(code)
}

export const cutOneWay: Trouble = async (cluster, round) => {
  const { machines } = cluster
  machines.cut(codeAt(cluster, round), codeAt(cluster, round + 1))
  await wait(cutMilliseconds)
  machines.mend()
}

/** From all others, both ways. */
export const cutOff: Trouble = async (cluster, round) => {
  const { machines } = cluster
  const code = codeAt(cluster, round)
  for (const other of cluster.codes.filter((each) => each !== code)) {
    machines.cut(code, other)
    machines.cut(other, code)
  }
  await wait(cutMilliseconds)
  machines.mend()
}

/** The region is there, and does nothing. */
export const hung =
  (milliseconds: number): Trouble =>
  async (cluster, round) => {
    const code = codeAt(cluster, round + 1)
    cluster.freeze(code)
    await wait(milliseconds)
    cluster.thaw(code)
  }

/** The region is not there, and then it is again. */
export const away =
  (milliseconds: number): Trouble =>
  async (cluster, round) => {
    const code = codeAt(cluster, round + 1)
    await cluster.kill(code)
    await wait(milliseconds)
    await cluster.startRegion(code)
  }
