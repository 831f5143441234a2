import { parentPort } from 'node:worker_threads'
import { Fault } from '#src/errors.ts'
import { runSelect } from './engine.ts'
import type { Source, Stats } from './request.ts'
import type { FromThread, Said, ToThread } from './thread-messages.ts'

/** The entry of a thread that runs queries, one after the other (query-threads.ts). */
interface Waiting {
  resolve(bytes: Uint8Array): void
  reject(error: unknown): void
}

/** The other side knows why, and tells the client. */
class Unreadable extends Error {}

const port = parentPort
const waiting = new Map<number, Waiting>()
let stats: Stats = { scanned: 0, processed: 0, returned: 0 }
let readId = 0
let taken: (() => void) | undefined

function say(message: Said, transfer: readonly ArrayBuffer[] = []): void {
  port?.postMessage({ ...message, stats: { ...stats } } as FromThread, transfer)
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
  const bytes = new TextEncoder().encode(records)
  stats.returned += bytes.length
  const isTaken = new Promise<void>((resolve) => {
    taken = resolve
  })
  say({ kind: 'records', bytes }, [bytes.buffer])
  await isTaken
}

async function start({ request, size }: Extract<ToThread, { readonly kind: 'start' }>): Promise<void> {
  stats = { scanned: 0, processed: 0, returned: 0 }
  try {
    await runSelect(request, sourceOf(size), stats, emit)
    say({ kind: 'end' })
  } catch (error) {
    if (error instanceof Fault) say({ kind: 'fault', code: error.code, details: error.details })
    else say({ kind: 'bug', error })
  }
}

port?.on('message', (message: ToThread) => {
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
