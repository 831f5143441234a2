import { writeFileSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { Fault } from '#src/errors.ts'
import { runSelect } from './engine.ts'
import type { FromProcess, Said, ToProcess } from './query-messages.ts'
import type { Source, Stats } from './request.ts'

/** The entry of a process that runs queries, one after the other (query-processes.ts). */
interface Waiting {
  resolve(bytes: Uint8Array): void
  reject(error: unknown): void
}

/** The other side knows why, and tells the client. */
class Unreadable extends Error {}

const waiting = new Map<number, Waiting>()
let stats: Stats = { scanned: 0, processed: 0, returned: 0 }
let readId = 0
let taken: (() => void) | undefined

function say(message: Said): void {
  process.send?.({ ...message, stats: { ...stats } } as FromProcess)
}

const sourceOf = (size: number): Source => ({
  size,
  read: (from, to) =>
    new Promise((resolve, reject) => {
      const id = ++readId
      waiting.set(id, { resolve, reject })
      say({ kind: 'read', id, from, to })
    }),
})

async function emit(records: string): Promise<void> {
  const bytes = Buffer.from(records)
  stats.returned += bytes.length
  const isTaken = new Promise<void>((resolve) => {
    taken = resolve
  })
  say({ kind: 'records', bytes })
  await isTaken
}

async function start({ request, size }: Extract<ToProcess, { readonly kind: 'start' }>): Promise<void> {
  stats = { scanned: 0, processed: 0, returned: 0 }
  try {
    await runSelect(request, sourceOf(size), stats, emit)
    say({ kind: 'end' })
  } catch (error) {
    if (error instanceof Fault) say({ kind: 'fault', code: error.code, details: error.details })
    else say({ kind: 'bug', error })
  }
}

/** Where memory is short, this process is to go, and not the one that serves requests. */
function giveWay(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '1000')
  } catch {
    // Other systems choose for themselves.
  }
}

giveWay()
new Worker(new URL('./parent-watch.ts', import.meta.url), { workerData: process.ppid }).unref()
process.on('uncaughtException', (error) => say({ kind: 'bug', error }))
process.on('disconnect', () => process.exit())
process.on('message', (message: ToProcess) => {
  if (message.kind === 'start') void start(message)
  else if (message.kind === 'taken') taken?.()
  else {
    const { id, bytes } = message
    const asked = waiting.get(id)
    waiting.delete(id)
    if (bytes === undefined) asked?.reject(new Unreadable('the object could not be read'))
    else asked?.resolve(bytes)
  }
})
