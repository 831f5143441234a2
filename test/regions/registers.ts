import { createHash, randomInt } from 'node:crypto'
import { makeBucket } from './buckets.ts'
import { type Check, type Extent, type Outcome, wait } from './check.ts'
import type { Cluster } from './cluster.ts'
import { type Answer, judge, type Operation, type Request } from './linearizability.ts'
import { isConditionFailed, isRefusal, newKey, Store } from './s3.ts'
import { cutOff, cutOneWay, hung, killed, type Trouble } from './troubles.ts'
import type { Phase } from './writers.ts'

/** Of each region, on every bucket's keys. */
const clientsEach = 3
/** Keys of a bucket that are in use at once. */
const registersEach = 2
/** Then the key is let be, for another one: what nobody knows the outcome of makes the search long. */
const operationsMost = 240
const unknownMost = 10
const patienceMilliseconds = 5_000
const hungMilliseconds = 3_000
const betweenMilliseconds = 2_000
/** Known answers in a round, during the fault and after it (C29). */
const answeredLeast = 20

/** One key, and all that anybody asked of it. */
class Register {
  readonly key = newKey('register')
  readonly operations: Operation[] = []
  #unknown = 0
  #written = 0

  get isWornOut(): boolean {
    return this.operations.length >= operationsMost || this.#unknown >= unknownMost
  }

  nextValue(): string {
    return `${this.key} ${this.#written++}`
  }

  add(operation: Operation): void {
    // A read without an answer says nothing.
    if (operation.answer.kind === 'unknown' && operation.request.kind === 'read') return
    if (operation.answer.kind === 'unknown') this.#unknown++
    this.operations.push(operation)
  }
}

/** The keys of one bucket. */
class Registers {
  readonly bucket: string
  readonly all: Register[] = []
  readonly #current: Register[] = []

  constructor(bucket: string) {
    this.bucket = bucket
  }

  any(): Register {
    const at = randomInt(registersEach)
    const register = this.#current[at]
    if (register !== undefined && !register.isWornOut) return register
    const fresh = new Register()
    this.#current[at] = fresh
    this.all.push(fresh)
    return fresh
  }
}

const etagOf = (value: string): string => `"${createHash('md5').update(value).digest('hex')}"`

/** Somebody who asks, and notes what was answered and when. */
class Client {
  answered = 0
  duringFaults = 0
  readonly #store: Store
  readonly #registers: Registers
  /** What it knows to have stood under a key. */
  readonly #known = new Map<string, string>()

  constructor(store: Store, registers: Registers) {
    this.#store = store
    this.#registers = registers
  }

  async work(phase: Phase): Promise<void> {
    while (!phase.isOver) {
      const register = this.#registers.any()
      const answer = await this.ask(register, this.#request(register))
      if (answer.kind === 'unknown') {
        await wait(100)
        continue
      }
      this.answered++
      if (phase.isFaulty) this.duringFaults++
    }
  }

  #request(register: Register): Request {
    const known = this.#known.get(register.key)
    const value = register.nextValue()
    const dice = randomInt(100)
    if (dice < 40) return { kind: 'read' }
    if (dice < 50) return { kind: 'write', value }
    if (dice < 60) return { kind: 'remove' }
    if (dice < 70 || known === undefined) return { kind: 'create', value }
    return { kind: 'swap', expected: known, value }
  }

  async ask(register: Register, request: Request): Promise<Answer> {
    const began = performance.now()
    const answer = await this.#answer(register.key, request)
    register.add({ request, answer, began, ended: performance.now() })
    if (answer.kind === 'seen' && answer.value !== undefined) this.#known.set(register.key, answer.value)
    if (answer.kind === 'done' && 'value' in request) this.#known.set(register.key, request.value)
    return answer
  }

  async #answer(key: string, request: Request): Promise<Answer> {
    const store = this.#store
    try {
      if (request.kind === 'read') return { kind: 'seen', value: await store.get(key) }
      if (request.kind === 'remove') await store.delete(key)
      else if (request.kind === 'write') await store.put(key, request.value)
      else if (request.kind === 'create') await store.put(key, request.value, { IfNoneMatch: '*' })
      else await store.put(key, request.value, { IfMatch: etagOf(request.expected) })
      return { kind: 'done' }
    } catch (error) {
      if (isConditionFailed(error)) return { kind: 'refused' }
      if (isRefusal(error)) throw error
      return { kind: 'unknown' }
    }
  }
}

const troubles: readonly Trouble[] = [cutOff, killed, cutOneWay, hung(hungMilliseconds)]

/** Another region each time that the same trouble comes again, so that each bucket's home has each of them. */
const troubled: Trouble = async (cluster, round) => {
  const trouble = troubles[round % troubles.length]
  await trouble?.(cluster, Math.floor(round / troubles.length) + round)
}

/** A bucket that has its home in each region, and clients of all regions on each. */
async function settle(cluster: Cluster): Promise<readonly { registers: Registers; clients: readonly Client[] }[]> {
  const found: { registers: Registers; clients: readonly Client[] }[] = []
  for (const home of cluster.codes) {
    const registers = new Registers(newKey(`registers-${home}`))
    await makeBucket(cluster, home, registers.bucket)
    const clients = cluster.codes.flatMap((code) => {
      const store = new Store(code, cluster.impatientClient(code, patienceMilliseconds), registers.bucket, true)
      return Array.from({ length: clientsEach }, () => new Client(store, registers))
    })
    found.push({ registers, clients })
  }
  return found
}

/** What stands now is part of the history: nothing acknowledged may be missing in the end. */
async function readAll(cluster: Cluster, registers: Registers): Promise<void> {
  for (const [index, register] of registers.all.entries()) {
    const code = cluster.codes[index % cluster.codes.length] ?? ''
    const client = new Client(new Store(code, cluster.client(code), registers.bucket, true), registers)
    for (let turn = 0; turn < 100; turn++) {
      if ((await client.ask(register, { kind: 'read' })).kind === 'seen') break
      await wait(100)
    }
  }
}

function judged(histories: readonly Registers[]): { readonly failures: string[]; readonly note: string } {
  const failures: string[] = []
  let [keys, requests, unknown] = [0, 0, 0]
  for (const { bucket, all } of histories) {
    for (const { key, operations } of all) {
      const verdict = judge(operations)
      keys++
      requests += operations.length
      unknown += operations.filter(({ answer }) => answer.kind === 'unknown').length
      if (verdict.kind === 'undecided') failures.push(`${bucket}/${key}: the search for an order was given up`)
      if (verdict.kind !== 'broken') continue
      const { request, answer } = verdict.stuck
      failures.push(
        `${bucket}/${key}: no order of ${operations.length} requests allows ${JSON.stringify({ request, answer })}`,
      )
    }
  }
  return { failures, note: `${keys} histories of ${requests} requests, ${unknown} of unknown outcome` }
}

/** Requests that all carry `X-Tigris-Consistent: true`, from all regions, on the same keys (C23). */
export const linearisable: Check = {
  name: 'consistent requests of all regions are linearisable, while regions are killed, hang and are cut off',
  async run(cluster: Cluster, { isLong, rounds }: Extent): Promise<Outcome> {
    const settled = await settle(cluster)
    const clients = settled.flatMap((each) => each.clients)
    const phase: Phase = { isOver: false, isFaulty: false }
    const times = isLong ? rounds : troubles.length
    const working = Promise.all(clients.map((each) => each.work(phase)))
    const nemesis = async (): Promise<void> => {
      for (let round = 0; round < times; round++) {
        phase.isFaulty = true
        await troubled(cluster, round)
        phase.isFaulty = false
        await wait(betweenMilliseconds)
      }
    }
    try {
      await Promise.race([nemesis(), working])
    } finally {
      phase.isOver = true
    }
    await working
    for (const { registers } of settled) await readAll(cluster, registers)
    const { failures, note } = judged(settled.map((each) => each.registers))
    const operations = clients.reduce((sum, each) => sum + each.answered, 0)
    const faulty = clients.reduce((sum, each) => sum + each.duringFaults, 0)
    if (faulty < answeredLeast * times) failures.push(`only ${faulty} requests were answered during faults`)
    if (operations - faulty < answeredLeast * times) failures.push(`only ${operations - faulty} were between them`)
    return { operations, failures, note: `${note}; ${faulty} answered during faults, ${operations - faulty} between` }
  },
}
