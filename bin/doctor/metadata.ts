import type { Config } from '#src/config/load.ts'
import { type Layouts, nodesBefore, readLayout } from '#src/metadata/layout-records.ts'
import { layouts } from '#src/metadata/layouts.ts'
import { readNodes } from '#src/metadata/node-records.ts'
import { clusterOf, type OpenedStore } from '#src/open/store.ts'
import { nextStep } from '#src/service/layout-upgrade.ts'
import type { Store } from '#src/store/store.ts'
import { realWorld } from '#src/world.ts'
import { type Finding, fail, median, ok, reasonOf, warn } from './finding.ts'

const looks = 9
/** Milliseconds, above which something is slow. */
const readSlow = 50
const commitSlow = 250
/** Of a node that lives, in milliseconds. */
const silentMost = 15_000
/** Nothing is ever kept there: to clear it is a commit that changes nothing. */
const unusedKey = Uint8Array.of(0x7e)
const statusMilliseconds = 10_000

async function timed(body: () => Promise<unknown>): Promise<number> {
  const times: number[] = []
  for (let look = 0; look < looks; look++) {
    const began = performance.now()
    await body()
    times.push(performance.now() - began)
  }
  return median(times)
}

/** Whether metadata is read and written, and how fast. */
export async function latencyFindings(store: Store): Promise<readonly Finding[]> {
  const about = 'latency'
  try {
    const read = await timed(() => store.snapshot((snapshot) => snapshot.get(unusedKey)))
    const commit = await timed(() => store.transact(async (transaction) => transaction.clear(unusedKey)))
    const says = `a read takes ${read.toFixed(1)} ms, a commit ${commit.toFixed(1)} ms (median of ${looks})`
    const isSlow = read > readSlow || commit > commitSlow
    if (!isSlow) return [ok(about, says)]
    return [warn(about, says, 'look at the disks that hold the metadata, and at what else uses them')]
  } catch (error) {
    return [fail(about, reasonOf(error), 'nothing is served as long as metadata cannot be read and written')]
  }
}

/** What FoundationDB says of itself. */
export async function clusterFindings(config: Config): Promise<readonly Finding[]> {
  const about = 'foundationdb'
  try {
    const { readClusterStatus } = await import('#src/store/foundationdb/status.ts')
    const status = await readClusterStatus({ ...clusterOf(config), timeout: statusMilliseconds })
    return statusFindings(status)
  } catch (error) {
    return [
      fail(about, reasonOf(error), `look at the cluster: fdbcli -C ${config.fdbClusterFile} --exec 'status details'`),
    ]
  }
}

type Status = Awaited<ReturnType<typeof import('#src/store/foundationdb/status.ts')['readClusterStatus']>>

export function statusFindings(status: Status): readonly Finding[] {
  const about = 'foundationdb'
  const findings: Finding[] = []
  const { versions, processes, redundancy, engine, data, faultsTolerated, limitedBy, leastFreeShare } = status
  const what = `${versions.join(', ')}, ${processes} processes, ${redundancy} ${engine}`
  if (!status.coordinatorsReachable) {
    findings.push(fail(about, 'no majority of its coordinators answers', 'start them, or check the cluster file'))
  }
  if (status.isAvailable) findings.push(ok(about, `available: ${what}`))
  else findings.push(fail(about, 'the database is not available', 'start its processes; `configure` a new one'))
  if (status.isAvailable && !status.isDataHealthy) {
    findings.push(warn('data', data, 'wait until it has copied what processes lost; start those that are missing'))
  } else if (status.isAvailable) findings.push(ok('data', data))
  if (faultsTolerated !== undefined) {
    const says = `${faultsTolerated} machines may fail before it stops`
    const todo = 'run at least three processes on machines of their own, and `configure double`'
    findings.push(faultsTolerated > 0 ? ok('redundancy', says) : warn('redundancy', says, todo))
  }
  if (versions.length > 1) findings.push(warn('versions', versions.join(', '), 'bring all processes to one version'))
  if (limitedBy !== undefined && limitedBy !== 'workload') {
    findings.push(warn('load', `transactions are held back by ${limitedBy}`, 'add processes, or look at their disks'))
  }
  if (leastFreeShare !== undefined && leastFreeShare < 0.1) {
    const says = `a disk of the cluster has ${Math.floor(leastFreeShare * 100)} % left`
    const todo = 'make room: it stops taking writes at 5 %'
    findings.push(leastFreeShare < 0.05 ? fail('room', says, todo) : warn('room', says, todo))
  }
  for (const message of status.messages) findings.push(warn(about, message, 'see `status details` in fdbcli'))
  return findings
}

/** In which layout the metadata is, and how far it is on its way to another. */
export async function layoutFindings(store: Store, known: Layouts = layouts): Promise<readonly Finding[]> {
  const { standing, nodes } = await store.snapshot(async (snapshot) => ({
    standing: await readLayout(snapshot),
    nodes: await readNodes(snapshot),
  }))
  const { layout, raising } = standing
  const step = nextStep(standing, known)
  const is = `the metadata is in layout ${layout}`
  if (raising !== undefined) {
    const seconds = Math.round((realWorld.now() - raising.at) / 1000)
    const says = `${is}, on its way to ${layout + 1}: ${raising.rows} rows were gone through, the last ${seconds} s ago`
    return [ok('layout', step === undefined ? says : `${says} (${step.name})`)]
  }
  if (step === undefined) return [ok('layout', is)]
  const before = nodesBefore(step.to, nodes)
  const todo = 'start them with this version, or `meridian nodes remove` those that are gone'
  if (before.length > 0)
    return [warn('layout', `${is}, and stays it while older nodes may serve: ${before.join(', ')}`, todo)]
  return [ok('layout', `${is}; a node that serves with this version raises it to ${step.to} (${step.name})`)]
}

/** Who shares the cell, and whether they live. */
export async function nodeFindings({ store, node }: OpenedStore): Promise<readonly Finding[]> {
  if (node === undefined) return []
  const nodes = await store.snapshot(readNodes)
  const now = realWorld.now()
  return [...nodes].map(([id, { peer, at, hasLeft }]) => {
    const isSilent = hasLeft !== true && now - at > silentMost
    const says = `${id} at ${peer}: ${hasLeft === true ? 'stopped' : `seen ${Math.round((now - at) / 1000)} s ago`}`
    const todo = 'start it; if it is gone for good, `meridian nodes remove` it: its bytes answer 503 until then'
    return isSilent ? warn('node', says, todo) : ok('node', says)
  })
}
