import { randomInt } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { administrator, ServerProcess } from '../support/server-process.ts'
import { SignedClient } from '../support/signed-client.ts'
import { type Finding, Ledger } from './ledger.ts'
import { bucket, list, read, write } from './workload.ts'

export interface CycleOptions {
  readonly data: string
  readonly cycles: number
  /** Fewer acknowledged writes in one cycle than this prove nothing (C29). */
  readonly floor: number
  readonly environment?: Readonly<Record<string, string>>
  /** Ends the server's life, and makes it possible to start it again. */
  readonly crash: (server: ServerProcess) => Promise<void>
  /** Makes durable what the empty bucket is made of, so that the control run has one to lose writes from. */
  readonly settle: () => Promise<void>
  readonly progress: (line: string) => void
}

export interface CycleReport {
  readonly cycles: number
  readonly acknowledged: number
  readonly unknown: number
  readonly checked: number
  readonly findings: readonly Finding[]
  /** Cycles with fewer acknowledged writes than the floor. */
  readonly hollow: number
}

const writers = 16
/** For a start, in milliseconds: a cluster may have to recover first. */
const patience = 120_000
/** How long the load may take for as many writes as a cycle has to have, in milliseconds; a busy machine needs its time. */
const loadMost = 60_000

/** Load, crash, restart, check; again and again on the same data. */
export async function crashCycles(options: CycleOptions): Promise<CycleReport> {
  const { data, cycles, floor, environment = {} } = options
  const ledger = new Ledger()
  const findings: Finding[] = []
  let checked = 0
  let hollow = 0
  let server = await ServerProcess.start({ data, environment, patience })
  let client = new SignedClient(server.endpoint, administrator)
  try {
    await client.send({ method: 'PUT', path: `/${bucket}` })
    await options.settle()
    for (let cycle = 1; cycle <= cycles; cycle++) {
      const before = ledger.acknowledged
      await load(client, ledger, before + floor, () => options.crash(server))
      client.close()
      server = await ServerProcess.start({ data, environment, patience })
      client = new SignedClient(server.endpoint, administrator)
      const touched = ledger.takeTouched()
      // Old keys too, now and then: a crash may harm what was long at rest.
      const keys = cycle % 10 === 0 || cycle === cycles ? ledger.keys : touched
      const found = await check(client, ledger, keys)
      checked += keys.length
      findings.push(...found)
      const acknowledged = ledger.acknowledged - before
      if (acknowledged < floor) hollow += 1
      options.progress(
        `cycle ${cycle}/${cycles}: ${acknowledged} acknowledged, ${keys.length} checked, ${found.length} bad`,
      )
    }
  } finally {
    client.close()
    await server.kill()
  }
  return { cycles, acknowledged: ledger.acknowledged, unknown: ledger.unknown, checked, findings, hollow }
}

/** Sixteen writers, until a crash in the midst of their work: at a time of chance after so many writes were acknowledged. */
async function load(client: SignedClient, ledger: Ledger, enough: number, crash: () => Promise<void>): Promise<void> {
  const stop = new AbortController()
  const writing = Array.from({ length: writers }, (_, writer) => write(client, ledger, writer, stop.signal))
  const until = performance.now() + loadMost
  while (ledger.acknowledged < enough && performance.now() < until) await wait(10)
  await wait(randomInt(900))
  await crash()
  stop.abort()
  await Promise.all(writing)
}

async function check(client: SignedClient, ledger: Ledger, keys: readonly string[]): Promise<Finding[]> {
  const findings: Finding[] = []
  const waiting = [...keys]
  const reader = async (): Promise<void> => {
    for (let key = waiting.pop(); key !== undefined; key = waiting.pop()) {
      const state = await read(client, key).catch((error: unknown) => String(error))
      const finding = ledger.check(key, state)
      if (finding !== undefined) findings.push(finding)
    }
  }
  await Promise.all(Array.from({ length: writers }, reader))
  const listed = await list(client)
  for (const key of ledger.keys) {
    const state = ledger.known(key)
    if (state === undefined || (state !== 'absent') === listed.has(key)) continue
    findings.push({ key, kind: 'wrong', detail: `reads ${state}, but is ${listed.has(key) ? '' : 'not '}listed` })
  }
  return findings
}
