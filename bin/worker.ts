import type { Config } from '#src/config/load.ts'
import { openLog } from '#src/telemetry/log.ts'
import type { Measurement } from './measuring.ts'
import { type ServingNode, startNode } from './node.ts'

/** What the primary says to a worker. */
export type ToWorker =
  | { readonly kind: 'start'; readonly config: Config; readonly isFirst: boolean }
  | { readonly kind: 'stop' }
  | { readonly kind: 'measure'; readonly question: number }

/** What a worker says to the primary. */
export type ToPrimary =
  | { readonly kind: 'ready'; readonly port: number; readonly flyOrigin: string | undefined }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'measured'; readonly question: number; readonly measurement: Measurement }

let node: Promise<ServingNode> | undefined
let isStopping = false

const say = (message: ToPrimary): void => {
  if (process.connected) process.send?.(message)
}

/** Ends by itself once nothing is open any more: leaving with transactions in flight may hang in LMDB. */
async function stop(): Promise<void> {
  if (isStopping) return
  isStopping = true
  const started = await node?.catch(() => undefined)
  await started?.stop()
  if (process.connected) process.disconnect()
}

async function start({ config, isFirst }: Extract<ToWorker, { kind: 'start' }>): Promise<ServingNode> {
  const log = openLog(config.logLevel)
  process.on('unhandledRejection', (error) => log.error('a promise was left alone', { error }))
  return await startNode(config, log, isFirst)
}

/** Whoever asks hears nothing where this fails, and knows enough. */
async function measure(question: number): Promise<void> {
  const measurement = await (await node)?.measure()
  if (measurement !== undefined) say({ kind: 'measured', question, measurement })
}

function onMessage(message: ToWorker): void {
  if (message.kind === 'stop') {
    void stop()
    return
  }
  if (message.kind === 'measure') {
    measure(message.question).catch(() => {})
    return
  }
  node = start(message)
  node.then(
    (started) => say({ kind: 'ready', port: started.port, flyOrigin: started.flyOrigin }),
    (error: unknown) => {
      say({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) })
      void stop()
    },
  )
}

process.on('message', onMessage)
// The primary died: nobody would start us again, and another one may want the directory.
process.on('disconnect', () => {
  void stop()
})
// A terminal signals all processes of the group at once; the primary decides.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => onMessage({ kind: 'stop' }))
